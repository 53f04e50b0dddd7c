import json
import re

import numpy as np
import pytest
from command_line import run
from datasets import Dataset

from hf_ntg.flows import conform_flows, save_flows
from hf_ntg.generation import FlowGenerator
from hf_ntg.metrics import evaluate_flows
from hf_ntg.models.baselines import make_baseline
from hf_ntg.report import headline, write_report
from hf_ntg.report.evaluation import headline_rows


def flows_of(seed: int, labels: tuple[str, ...] = ("mail & co", "web"), times: bool = True) -> Dataset:
    rng = np.random.default_rng(seed)
    rows = {"label": [], "payload_length": [], "direction": [], "inter_arrival_time": []}
    for row in range(80):
        packets = int(rng.integers(2, 8))
        rows["label"].append(labels[row % len(labels)])
        rows["payload_length"].append(rng.integers(0, 900 * (1 + row % 2), packets).tolist())
        rows["direction"].append([1 if k % 2 == 0 else -1 for k in range(packets)])
        rows["inter_arrival_time"].append([0.0, *rng.lognormal(-4, 2, packets - 1).tolist()])
    if not times:
        del rows["inter_arrival_time"]
    return conform_flows(Dataset.from_dict(rows), "made")


@pytest.fixture(scope="module")
def result() -> dict:
    train = flows_of(0)
    return evaluate_flows(train, flows_of(1), FlowGenerator(make_baseline("2-gram").fit(train)).generate(50, seed=1))


@pytest.fixture(scope="module")
def paths(result, tmp_path_factory) -> dict:
    return write_report(result, tmp_path_factory.mktemp("report") / "new" / "folder")


def test_the_three_files(result, paths):
    assert sorted(paths) == ["html", "json", "md"]
    assert json.loads(paths["json"].read_text()) == result
    page, text = paths["html"].read_text(), paths["md"].read_text()
    for metric in result["metrics"].values():
        assert metric["title"] in page
        assert metric["title"] in text
    for column in result["columns"]:
        assert f">{column}</th>" in page
    assert "mail &amp; co" in page
    assert "mail & co" in text
    figures = {path.name for path in (paths["html"].parent / "figures").iterdir()}
    assert figures == {f"{name}.{kind}" for name in ("packets", "times", "lengths") for kind in ("png", "pdf")}


def test_the_page_fetches_nothing(paths):
    page = paths["html"].read_text()
    assert page.count("<svg") == 4
    assert page.count('src="data:image/png;base64,') == 1
    assert not re.search(r"""(src|href)=["']?(https?:|//)|url\(\s*['"]?http|@import|<script|<link""", page)


def test_markdown_tables_are_whole(result, paths):
    lines = paths["md"].read_text().splitlines()
    tables = [line for line in lines if line.startswith("|")]
    widths = {line.count("|") for line in tables}
    assert widths == {len(result["columns"]) + 4, 8}
    assert sum(line.startswith("| web |") for line in tables) == 1


def test_the_same_result_gives_the_same_page(result, paths, tmp_path):
    assert write_report(result, tmp_path)["html"].read_bytes() == paths["html"].read_bytes()


def test_headline_holds_synthetic_against_real(result):
    rows = {row["title"]: row for row in headline_rows(result)}
    jsd = rows["Jensen-Shannon divergence of packets"]
    columns = result["metrics"]["flow_jsd"]["columns"]
    assert jsd["values"] == [columns[name]["overall"] for name in result["columns"]]
    assert jsd["against_real"] == f"{columns['synthetic']['overall'] / columns['real']['overall']:.2f} ×"
    assert not rows["accuracy"]["main"]
    lines = headline(result).splitlines()
    assert len(lines) == 1 + len(result["metrics"])
    assert len({len(line) for line in lines}) == 1


def test_flows_without_times_and_a_lost_class(tmp_path):
    train, test = flows_of(0, times=False), flows_of(1, times=False)
    lost = train.filter(lambda row: row["label"] == "web")
    paths = write_report(evaluate_flows(train, test, lost), tmp_path)
    page = paths["html"].read_text()
    assert "Inter-arrival times</h2>" not in page
    assert "no synthetic flow (mail &amp; co)" in page
    assert "| – |" in paths["md"].read_text()


def test_classes_that_are_not_drawn_are_counted(result, tmp_path):
    many = result | {"profiles": result["profiles"] | {"left_out": 6}}
    assert "6 more are judged but not drawn" in write_report(many, tmp_path)["html"].read_text()


def test_the_command(tmp_path, monkeypatch, capsys):
    for name, seed in (("train", 0), ("test", 1), ("synthetic", 2)):
        save_flows(flows_of(seed), tmp_path / f"{name}.parquet")
    command = ["evaluate", "--output", tmp_path / "report"]
    command += [word for name in ("train", "test") for word in (f"--{name}", tmp_path / f"{name}.parquet")]
    status, out, said = run(monkeypatch, capsys, *command, "--synthetic", tmp_path / "synthetic.parquet")
    assert status == 0, said
    assert out.splitlines()[-1] == str(tmp_path / "report" / "report.html")
    assert str(tmp_path / "train.parquet") in (tmp_path / "report" / "report.md").read_text()
    status, _, said = run(monkeypatch, capsys, *command, "--synthetic", tmp_path / "none.parquet")
    assert status == 2
    assert "none.parquet: no such file" in said
