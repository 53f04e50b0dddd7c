"""scripts/compare_rivals.py on a tiny table, and scripts/rivals: forms of flows, training, tables."""

import json
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from hf_ntg.flows import load_flows, save_flows

SCRIPTS = Path(__file__).parents[1] / "scripts"
MODULES = ("compare_rivals", "measure_recipe", "rivals")


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    yield
    for name in [name for name in sys.modules if name.split(".")[0] in MODULES]:
        sys.modules.pop(name)


@pytest.fixture
def table(flows, tmp_path):
    return save_flows(flows, tmp_path / "small.parquet")


@pytest.mark.parametrize("form", ["rows", "packets", "objects"])
def test_a_form_and_back_are_the_first_packets(form, table):
    from rivals import forms

    flows = forms.read_flows(str(table))
    seen = getattr(forms, f"as_{form}")(flows, 4)
    back = getattr(forms, f"from_{form}")(seen, *((4,) if form == "rows" else ()))
    assert len(back) == len(flows)
    for made, row in zip(back, flows.itertuples(), strict=True):
        assert made["label"] == row.label
        assert made["payload_length"] == list(row.payload_length[:4])
        assert made["direction"] == list(row.direction[:4])
        assert made["inter_arrival_time"][1:] == pytest.approx(list(row.inter_arrival_time[1:4]), rel=1e-4, abs=1e-6)


def test_drawn_values_become_legal_flows():
    import pandas as pd
    from rivals.forms import from_objects, from_rows

    row = {"label": "a", "packets": 9.7, "packet_0": 1e9, "packet_1": -0.2, "time_1": float("nan")}
    assert from_rows(pd.DataFrame([row]), 2) == [
        {"label": "a", "payload_length": [65_535, 0], "direction": [1, 1], "inter_arrival_time": [0.0, 1.0]}
    ]
    unreadable = [{}, {"label": 1, "sizes": ["+5"]}, {"label": "a", "sizes": []}, {"label": "a", "sizes": ["b", None]}]
    objects = [{"label": "a", "sizes": ["-518", "+1", "+9"], "times": [-2.0]}]
    assert from_objects(unreadable) == []
    assert from_objects(objects) == [
        {"label": "a", "payload_length": [517, 0, 8], "direction": [-1, 1, 1], "inter_arrival_time": [0.0, 0.01, 0.0]}
    ]


def test_sizes_up_to_the_end_become_flows_without_times(tmp_path):
    from rivals.forms import from_sizes, write_flows

    made = [from_sizes("a", (518, -1, 0, 7)), from_sizes("a", (0, 0)), from_sizes("b", (-9, 3))]
    assert [(flow["payload_length"], flow["direction"]) for flow in made] == [
        ([517, 0], [1, -1]),
        ([0], [1]),
        ([8, 2], [-1, 1]),
    ]
    write_flows(made, str(tmp_path / "made.parquet"))
    assert "inter_arrival_time" not in load_flows(str(tmp_path / "made.parquet")).column_names


def test_every_synthesiser_has_an_environment():
    import compare_rivals
    from rivals.environments import INSTALLS, PACKAGES
    from rivals.synthesisers import LIBRARIES, SYNTHESISERS

    assert compare_rivals.ENVIRONMENTS.keys() == SYNTHESISERS.keys() == LIBRARIES.keys()
    assert set(compare_rivals.ENVIRONMENTS.values()) == INSTALLS.keys() == PACKAGES.keys()


def replay(flows, settings):
    """A synthesiser that returns the training flows, and reports its budget."""
    from rivals.forms import as_rows, from_rows

    settings.notes["budget"] = settings.budget
    rows = as_rows(flows, settings.width)
    return lambda count: from_rows(rows.sample(count, replace=True, random_state=settings.seed), settings.width)


@pytest.fixture
def script(monkeypatch):
    """The script, with every synthesiser replaced by `replay`, in this process."""
    import compare_rivals
    from rivals import synthesisers, train

    monkeypatch.setattr(compare_rivals, "installed_python", lambda name, folder: Path(sys.executable))
    monkeypatch.setattr(compare_rivals, "versions", lambda python, packages: dict.fromkeys(packages, "1"))
    monkeypatch.setitem(synthesisers.SYNTHESISERS, "origami", replay)
    monkeypatch.setitem(synthesisers.LIBRARIES, "origami", ())

    def run(command, timeout):
        monkeypatch.setattr(sys, "argv", command[2:])
        if "arf" in command:
            return "ValueError: too few flows"
        train.main()
        return ""

    monkeypatch.setattr(compare_rivals, "failure", run)
    return compare_rivals


def arguments(table, **given):
    plain = {"by": "random", "view": "payload", "packets": 4, "multiples": [1, 2], "draws": 1, "set": []}
    plain |= {"classifiers": ["random_forest"], "like": "4-gram", "lengths": ["recommended", "budget"], "timeout": 9}
    plain |= {"environments": table.parent, "output": table.parent / "rivals.jsonl", "models": ["4-gram", "origami"]}
    return Namespace(tables=[str(table)], **plain | given)


def our_training_took(script, given, table, seconds):
    """Measure the 4-gram, and state how long it took."""
    script.compare(Namespace(**vars(given) | {"models": ["4-gram"]}), str(table), 0)
    [row] = script.read_rows(given.output)
    given.output.write_text(json.dumps(row | {"fit_cpu_seconds": seconds}) + "\n")


def test_rivals_are_judged_like_our_own(script, table, monkeypatch):
    given = arguments(table, models=["4-gram", "origami", "arf"])
    our_training_took(script, given, table, 0.0)
    script.compare(given, str(table), 0)
    own = {"multiples": [1], "lengths": ["budget"], "models": ["origami"]}
    script.compare(Namespace(**vars(given) | own), str(table), 0)
    *_, again = script.read_rows(given.output)
    assert (again["model"], again["notes"], [*again["by_multiple"]]) == ("origami", {"budget": 0.0}, ["1"])
    ours, rival, budget, failed, *_ = script.read_rows(given.output)
    assert [ours["model"], rival["model"], budget["model"]] == ["4-gram", "origami", "origami"]
    assert budget["settings"] == "budget of 4-gram"
    assert (rival["notes"], budget["notes"]) == ({"budget": None}, {"budget": 0.0})
    assert ours["by_multiple"]["1"].keys() == rival["by_multiple"]["1"].keys()
    assert ours["real"] == rival["real"]
    assert rival["read"] == rival["asked"] == 2 * rival["train"]
    assert failed["error"] == "ValueError: too few flows"
    monkeypatch.setattr(script, "Cell", None)  # nothing is measured again
    script.compare(given, str(table), 0)


def test_a_budget_needs_the_model_that_it_follows(script, table):
    with pytest.raises(SystemExit, match="measure 4-gram first"):
        script.compare(arguments(table, models=["origami"], lengths=["budget"]), str(table), 0)


def test_a_budget_longer_than_the_recommended_training_is_not_run(script, table):
    given = arguments(table)
    our_training_took(script, given, table, 1_000.0)
    script.compare(given, str(table), 0)
    assert [(row["model"], row["settings"]) for row in script.read_rows(given.output)] == [
        ("4-gram", ""),
        ("origami", ""),
    ]


def test_a_schema_allows_what_occurs():
    from rivals.synthesisers import _schema_of

    objects = [{"label": "b", "sizes": ["-2"], "times": []}, {"label": "a", "sizes": ["+1", "-2"], "times": [-1.5]}]
    fields = _schema_of(objects)["properties"]
    assert fields["label"]["enum"] == ["a", "b"]
    assert fields["sizes"] == {"type": "array", "items": {"type": "string", "enum": ["+1", "-2"]}} | bounds(1, 2)
    assert fields["times"] == {"type": "array", "items": {"type": "number"}} | bounds(0, 1)


def bounds(least, most):
    return {"minItems": least, "maxItems": most}


def test_failures_say_why(scripts):
    import compare_rivals

    code = "import sys; print('words'); sys.exit('the last line')"
    assert compare_rivals.failure([sys.executable, "-c", code], 60) == "the last line"
    assert (
        compare_rivals.failure([sys.executable, "-c", "import time; time.sleep(9)"], 0.1) == "not done after 0 seconds"
    )
    assert compare_rivals.failure([sys.executable, "-c", ""], 60) == ""


def test_every_synthesiser_has_its_environment_and_libraries():
    import compare_rivals
    from rivals.environments import INSTALLS, PACKAGES
    from rivals.synthesisers import LIBRARIES, SYNTHESISERS

    assert SYNTHESISERS.keys() == LIBRARIES.keys() == compare_rivals.ENVIRONMENTS.keys()
    assert INSTALLS.keys() == PACKAGES.keys() == set(compare_rivals.ENVIRONMENTS.values())


def test_tables_have_means_over_seeds(tmp_path):
    from rivals.tables import rivals_tables

    def row(model, seed, **given):
        least = {"random_forest": -10 + seed, "times_ratio": 2, "c2st": 0.9, "flows_per_cpu_second": 1_000}
        least |= {"jsd_ratio": 1.5, "copies_excess": -0.25}
        most = {"random_forest": -1}
        plain = {"table": "tls", "model": model, "settings": "", "seed": seed, "fit_cpu_seconds": 0.5}
        return plain | {"real": {"random_forest": 90 + seed}, "by_multiple": {"1": least, "4": most}} | given

    rows = [row("4-gram", 0), row("4-gram", 2), row("arf", 0, settings="budget of gpt2"), row("par", 0, error="slow")]
    path = tmp_path / "results.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    (name, text), *others = rivals_tables(path).items()
    assert (name, others) == ("rivals-tls", [])
    head, _, real, counted, cut = text.splitlines()
    assert head.count("|") == real.count("|") == cut.count("|")
    assert real.startswith("| real | 2 | 91.0 ± 1.4 | 91.0 ± 1.4 | – |")
    means = "82.0 ± 2.8 | 90.0 ± 1.4 | 1.50 ± 0.00 | 2.00 ± 0.00 | 0.90 ± 0.00 | −0.2 ± 0.0"
    assert counted == f"| 4-gram | 2 | {means} | 0.50 | 1,000 |"
    assert cut.startswith("| arf, budget of gpt2 | 1 | 80.0 | 89.0 |")


def test_the_study_shows_every_kept_row():
    from rivals.tables import rivals_tables

    study = Path(__file__).parents[1] / "model_cards" / "study"
    text = (study / "README.md").read_text(encoding="utf-8")
    for name, table in rivals_tables(study / "rivals" / "results.jsonl").items():
        assert f"<!-- table: {name} -->\n\n{table}\n<!-- end of table -->" in text
