"""Tables and the report from results that are made up, so that every score can be said beforehand."""

import csv
import io
import json
import re
import runpy
import shutil
import sys
from pathlib import Path

import pytest

from hf_ntg import InputError
from hf_ntg.study.plan import UNLABELLED_METHODS, Profile, plan_runs
from hf_ntg.study.results.overview import fill_tables, glance_tables, overview_tables
from hf_ntg.study.results.plots import confusions
from hf_ntg.study.results.privacy import epsilon_curves
from hf_ntg.study.results.study_report import write_study
from hf_ntg.study.results.summary import Score, scores_of, time_to_fidelity
from hf_ntg.study.results.table import Table, as_csv, as_markdown, cell_text
from hf_ntg.study.results.tables import study_tables
from hf_ntg.study.store import ResultStore, read_results, write_results

ROOT = Path(__file__).parents[3]
SMALL = Profile(
    models=("gpt2", "unet", "3-gram"),
    by=("random",),
    seeds=(0, 1, 2),
    times=(1, 4),
    classifiers=("random_forest",),
    shots=(5, 20),
    shot_seeds=(0, 1),
    shot_classifiers=("random_forest",),
    shot_methods=("jitter", "loss"),
    shot_models=("gpt2", "3-gram"),
    budgets=(0.5, 1.0),
    samplers=(("ddim", 50), ("dpm-solver++", 5)),
    privacy_models=("3-gram", "private-n-gram", "gpt2", "gpt2-from-public"),
    epsilons=("none", 8.0, 0.5),
)
MADE = {"hf_ntg": "0", "commit": "abc", "code": {}, "settings": "", "seconds": 1.0, "cpu_seconds": 1.0}
DETAILS = {"confusion": [["ssh", "ssh", 8], ["ssh", "web", 2], ["web", "web", 5]]}
QUALITY = {"real": 0, "gpt2": 1, "unet": 3, "3-gram": 2, "none": 5, "all-real": 0, "jitter": 4, "loss": 4}
QUALITY |= dict.fromkeys(UNLABELLED_METHODS, 3) | {"private-n-gram": 2}


def measures(run):
    """Worse with QUALITY, a little else with every seed."""
    bad = QUALITY[run.model] + 0.01 * run.seed
    if run.axis == "fidelity":
        return {"flow_jsd": 0.1 * (1 + bad), "once_seen_copies": 10 * bad, "mmd": None}
    if run.axis == "synthetic-only":
        return dict.fromkeys(("macro_f1", "weighted_f1", "accuracy"), 0.9 - 0.1 * bad / run["times"])
    if run.axis == "augmentation":
        value = 0.9 if run["shots"] == "all" else 0.8 - 0.1 * bad + (0.01 * run["shots"])
        return {f"random_forest.{name}": value for name in ("macro_f1", "weighted_f1", "accuracy")}
    if run.axis == "efficiency":
        return {"parameters": 1_180_000, "training_cpu_seconds": 100.0, "flops_alone": None}
    if run.axis == "sampling":
        return {"flow_jsd": 0.1 + run["steps"] / 1_000, "macro_f1": 0.7, "once_seen_copies": 2.5}
    if run.axis == "privacy":
        worse = 0 if run["epsilon"] == "none" else 1 / run["epsilon"]
        return {"macro_f1": 0.9 - 0.1 * bad - 0.1 * worse, "flow_jsd": 0.1, "c2st": 0.5, "once_seen_copies": 0.0}
    close = 0.05 if run["budget"] == 1 else 1
    costs = {"training_cpu_seconds": 100 * run["budget"], "training_seconds": None}
    return {"flow_jsd": 0.1 * (1 + close), "once_seen_copies": run["budget"], "macro_f1": 0.8, **costs}


def rows(profile=SMALL, flows=("web & mail",)):
    return [
        {
            **run.identity(),
            "measures": measures(run),
            "details": DETAILS,
            "notes": ["no likelihood"] * (run.model == "gpt2"),
        }
        | {"made": MADE | {"finished": f"2026-01-01T00:00:{place % 60:02}"}}
        for place, run in enumerate(plan_runs(profile, flows))
    ]


def lay(folder, some):
    for place, row in enumerate(some):
        path = folder / "runs" / row["axis"] / f"{place}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(row))


def find(scores, **place):
    (found,) = [f for f in scores if all(f.place.get(name) == value for name, value in place.items())]
    return found


def test_figures_are_held_against_the_runs_of_their_own_seed():
    scores = scores_of(rows())
    ratio = find(scores, axis="fidelity", model="gpt2", measure="flow_jsd.ratio")
    assert ratio.values == pytest.approx([2.0, 2.01 / 1.01, 2.02 / 1.02])
    gap = find(scores, measure="gap_points", model="3-gram", times=4)
    assert gap.values == pytest.approx([5, 5 + 0.025 - 0.1, 5 + 0.05 - 0.2])
    gain = find(scores, measure="random_forest.gain_points", model="gpt2", protocol="strict", shots=5)
    assert gain.mean == pytest.approx(40)
    percent = find(scores, measure="random_forest.gain_percent", model="gpt2", protocol="paper", shots=20)
    assert percent.values[0] == pytest.approx(100 * 0.4 / 0.5)
    assert not [f for f in scores if f.place["measure"] == "mmd"]


def test_interval_is_students():
    score = find(scores_of(rows()), axis="fidelity", model="real", measure="flow_jsd")
    # Three values 0.001 apart: standard error 0.001 / sqrt(3), t of 2 degrees of freedom 4.303.
    assert score.half_width == pytest.approx(4.3027 * 0.001 / 3**0.5, rel=1e-4)
    first = scores_of(row for row in rows() if row["seed"] == 0)
    alone = find(first, axis="efficiency", model="gpt2", measure="parameters")
    assert alone.half_width is None
    assert cell_text(alone, "si") == "1.18 M"
    assert cell_text(score, "%") == "10.1 ± 0.2 %"
    assert cell_text(None) == "–"


def test_time_to_fidelity_is_the_shortest_budget_that_gets_there():
    (score,) = time_to_fidelity(rows())
    assert score.place["model"] == "gpt2"
    assert score.values == (100, 100, 100)  # half the budget is twice as far as real flows
    assert time_to_fidelity(row for row in rows() if row["axis"] != "fidelity") == []


def test_time_to_fidelity_needs_every_seed_to_get_there():
    """Two of three seeds get there: their mean would leave out the slowest."""
    found = rows()
    for row in found:
        if row["axis"] == "training-length" and row["seed"] == 1:
            row["measures"] = row["measures"] | {"flow_jsd": 9.0}
    assert time_to_fidelity(found) == []


def test_the_shown_confusions_are_not_the_best_on_the_test_flows():
    found = rows()
    for row in found:
        if row["axis"] == "synthetic-only":
            row["measures"] = row["measures"] | {"macro_f1": 1.0 if row["model"] == "unet" else 0.1}
            row["details"] = row["details"] | {"confusion": [[row["model"], row["model"], 3]]}
    drawn = confusions(found, ("gpt2", "unet"))["web & mail, split by random"]
    assert ">gpt2<" in drawn
    assert ">unet<" not in drawn


def test_protocols_have_tables_of_their_own():
    tables = {table.name: table for table in study_tables(scores_of(rows(flows=("a", "b"))))}
    few = {name: table for name, table in tables.items() if table.axis == "augmentation" and table.flows == "a"}
    assert {name.split("-random")[0] for name in few} == {
        "augmentation-strict",
        "augmentation-with-unlabelled",
        "augmentation-paper",
        "augmentation-fine-tuned",
    }
    by_protocol = {name.split("-random")[0]: [row[0] for row in table.rows] for name, table in few.items()}
    assert "jitter" not in by_protocol["augmentation-paper"]
    assert by_protocol["augmentation-fine-tuned"] == ["few real flows alone", "gpt2", "all real training flows"]
    text = as_markdown(tables["synthetic-only-gap_points-a-random"])
    assert "real |" not in text
    assert text.count("\n") == 5
    assert len({line.count("|") for line in text.splitlines()}) == 1


def test_csv_holds_every_figure():
    scores = scores_of(rows())
    found = list(csv.DictReader(io.StringIO(as_csv(scores))))
    assert len(found) == len(scores)
    line = next(r for r in found if r["model"] == "gpt2" and r["measure"] == "flow_jsd" and r["axis"] == "fidelity")
    assert (line["mean"], line["seeds"], line["by"]) == ("0.201", "3", "random")


def test_tables_at_a_glance_name_every_generator():
    use, copies = glance_tables(scores_of(rows(flows=("a", "b"))))
    assert use.head == ("", "a, by random, 4×", "b, by random, 4×")
    assert copies.head == ("", "a, by random", "b, by random")
    shown = {name: [cell_text(cell, "1") for cell in cells] for name, cells in use.rows}
    assert list(shown) == ["gpt2", "unet", "3-gram"]
    assert shown["gpt2"][0].startswith("2.4")
    assert [cell.mean for cell in dict(copies.rows)["unet"]] == pytest.approx([30.1, 30.1])
    assert glance_tables(scores_of(row for row in rows() if row["axis"] == "efficiency")) == []


def test_the_tables_of_a_subject_are_folded_together(tmp_path):
    lay(tmp_path, rows(flows=("a", "b")))
    write_study(tmp_path)
    page = (tmp_path / "report.html").read_text()
    sections = dict(re.findall(r'<h2 id="([a-z-]+)">(.*?)(?=<h2)', page, flags=re.DOTALL))
    assert "<details" not in sections["glance"]
    assert sections["glance"].index("<svg") < sections["glance"].index("<table")
    assert sections["overview"].count("<details") == 1
    assert sections["overview"].count("<table") == 2
    assert "mathdefault" not in page
    assert "`" not in page


def test_whole_report_and_page_that_fetches_nothing(tmp_path):
    lay(tmp_path, rows())
    said = write_study(tmp_path)
    assert said.endswith("missing: none")
    page = (tmp_path / "report.html").read_text()
    assert page.count("<svg") == 9
    assert "web &amp; mail" in page
    assert "gpt2: no likelihood." in page
    assert not re.search(r"""(src|href)=["']?(https?:|//)|url\(\s*['"]?http|@import|<script|<link""", page)
    lines = (tmp_path / "results.jsonl").read_text().splitlines()
    assert len(lines) == len(rows())
    write_study(tmp_path)
    assert (tmp_path / "report.html").read_text() == page
    shutil.rmtree(tmp_path / "runs")
    assert write_study(tmp_path) == said, "results.jsonl is enough"
    assert (tmp_path / "report.html").read_text() == page


@pytest.mark.parametrize(
    "axis", ["efficiency", "fidelity", "synthetic-only", "augmentation", "training-length", "sampling"]
)
def test_one_axis_alone_is_reported_and_what_is_missing_is_said(axis, tmp_path):
    done = [row for row in rows() if row["axis"] == axis and row["seed"] == 0][:-1]
    lay(tmp_path, done)
    (tmp_path / "plans").mkdir()
    profile = {"training": {"max_steps": 300}}
    plan = {
        "command": "ntg study",
        "profile": profile,
        "runs": [run.identity() for run in plan_runs(SMALL, ["web & mail"])],
    }
    (tmp_path / "plans" / "one.json").write_text(json.dumps(plan))
    said = write_study(tmp_path)
    assert f"{len(done)} runs reported; missing: " in said
    left = len(rows()) - len(done)
    assert f"{left} planned runs are still to be done" in (tmp_path / "report.html").read_text()
    text = (tmp_path / "report.md").read_text()
    assert "ntg study" in text
    assert "max_steps 300 in place of theirs" in text
    assert ResultStore(tmp_path).gather()


def test_samplers_are_held_against_real_flows_in_order_of_steps():
    tables = {table.name: table for table in study_tables(scores_of(rows()))}
    lines = as_markdown(tables["sampling-web & mail-random"]).splitlines()[2:]
    assert [line.split("|")[1].strip() for line in lines] == ["unet, ddim, 50 steps", "unet, dpm-solver++, 5 steps"]
    assert "| 1.49 ± 0.04 |" in lines[0]  # 0.15 bits over 0.1, 0.101 and 0.102
    assert "| 2.5 ± 0.0 |" in lines[1]


def test_generators_with_a_guarantee_come_after_those_without_one():
    tables = {table.name: table for table in study_tables(scores_of(rows(flows=("a", "b"))))}
    curves, table = tables["epsilon-a-random"], tables["privacy-a-random"]
    assert curves.head == ("", "no guarantee", "ε = 8", "ε = 0.5")
    means = {name: [cell and round(cell.mean, 2) for cell in cells] for name, cells in curves.rows}
    assert means["gpt2"] == [0.8, 0.79, 0.6]
    assert means["private-n-gram"] == [None, 0.69, 0.5]
    assert means["gpt2 from public"][0] is None
    assert [name for name, _ in table.rows] == [
        "real",
        "gpt2, no guarantee",
        "3-gram, no guarantee",
        "gpt2, ε = 8",
        "gpt2, ε = 0.5",
        "gpt2 from public, ε = 8",
        "gpt2 from public, ε = 0.5",
        "private-n-gram, ε = 8",
        "private-n-gram, ε = 0.5",
    ]
    below = dict(zip(table.head[1:], table.rows[-1][1], strict=True))["points below real"]
    assert below.mean == pytest.approx(100 * (0.2 + 0.2))
    alone = [table for table in study_tables(scores_of(rows())) if table.axis == "privacy"]
    assert not [name for name, _ in alone[0].rows if "public" in name], "no other table counts as public"


def test_a_curve_needs_a_guarantee():
    scores = scores_of(rows())
    drawn = epsilon_curves(scores)
    assert ">none<" in drawn
    assert ">private-n-gram<" in drawn
    assert epsilon_curves([s for s in scores if s.place.get("epsilon") in (None, "none")]) is None


def test_overview_is_one_line_a_generator():
    (table,) = overview_tables(scores_of(rows()))
    assert [name for name, _ in table.rows] == ["real", "gpt2", "unet", "3-gram"]
    text = as_markdown(table)
    assert "JSD × real" in text
    lines = [line.split(" | ") for line in text.splitlines()]
    real = dict(zip(lines[0], lines[2], strict=True))
    assert real["macro-F1, 1×"] == real["macro-F1, 4×"]
    assert real["JSD × real"] == "–"


def test_texts_are_filled_from_results(tmp_path, monkeypatch):
    results, text = tmp_path / "results.jsonl", tmp_path / "README.md"
    write_results(rows(flows=("a",)), results)
    text.write_text("Before.\n<!-- table: overview-a-random -->\nold\n<!-- end of table -->\nAfter.\n")

    monkeypatch.syspath_prepend(str(ROOT / "scripts"))

    def update(*options):
        monkeypatch.setattr(sys, "argv", ["update_readme.py", "--results", str(results), str(text), *options])
        with pytest.raises(SystemExit) as stopped:
            runpy.run_path(str(ROOT / "scripts" / "update_readme.py"), run_name="__main__")
        return stopped.value.code

    assert update("--check") == 1
    assert "old" in text.read_text()
    assert update() == 0
    filled = text.read_text()
    assert filled.startswith("Before.\n<!-- table: overview-a-random -->\n\n| ")
    assert filled.endswith("<!-- end of table -->\nAfter.\n")
    assert "old" not in filled
    assert update("--check") == 0
    with pytest.raises(InputError, match=r"x.md: no table 'overview-b-random' in the results; there are overview-a"):
        fill_tables(text.read_text().replace("-a-", "-b-"), {"overview-a-random": "| |"}, "x.md")


@pytest.mark.parametrize(
    ("texts", "results", "more"),
    [
        (["README.md", "study/README.md"], "study/results.jsonl", ["--rivals", "study/rivals/results.jsonl"]),
        (["study/payload/README.md"], "study/payload/results.jsonl", []),
    ],
)
def test_the_readmes_tables_are_those_of_the_kept_results(monkeypatch, texts, results, more):
    cards = ROOT / "model_cards"
    words = [str(ROOT / word if word == "README.md" else cards / word) for word in texts]
    words += ["--results", str(cards / results), *(str(cards / word) if "/" in word else word for word in more)]
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    monkeypatch.setattr(sys, "argv", ["update_readme.py", *words, "--check"])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(ROOT / "scripts" / "update_readme.py"), run_name="__main__")
    assert stopped.value.code == 0


def test_results_that_are_none(tmp_path):
    broken = tmp_path / "results.jsonl"
    with pytest.raises(InputError, match="no results of a study"):
        read_results(broken)
    broken.write_text('{"axis": 1}\n')
    with pytest.raises(InputError, match="line 1 is not a run"):
        read_results(broken)
    broken.write_text("{\n")
    with pytest.raises(InputError, match="line 1 is not JSON"):
        read_results(broken)


def test_the_best_of_each_measure_is_marked_and_real_flows_do_not_compete():
    def row(*means):
        return tuple(None if mean is None else Score({}, (mean,)) for mean in means)

    rows = [("real", row(0.1, 0.9)), ("gpt2", row(0.3, 0.7)), ("unet", row(0.2, None)), ("3-gram", row(0.4, 0.8))]
    columns = Table("t", "T", ("", "JSD", "F1"), rows, "a", "f", "by", better=("lower", "higher"))
    assert columns.best_cells() == {(2, 0), (3, 1)}
    head = ("", *(name for name, _ in rows))
    turned = [("JSD", row(0.1, 0.3, 0.2, 0.4)), ("AUC", row(0.5, 0.6, 0.9, 0.55)), ("?", row(1, 2, 3, 4))]
    by_row = Table("t", "T", head, turned, "a", "f", "by", better=("lower", "real", ""), by_row=True)
    assert by_row.best_cells() == {(0, 2), (1, 3)}
