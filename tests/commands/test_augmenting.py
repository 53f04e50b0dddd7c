import json
from collections import Counter

from command_line import run

from hf_ntg import load_flows
from hf_ntg.flows import save_flows
from hf_ntg.flows.provenance import provenance_of


def test_few_flows_are_topped_up(flows, tiny_gpt2, tmp_path, monkeypatch, capsys):
    carrying = flows.filter(lambda row: all(row["payload_length"]))  # the model's packet view changes nothing
    few = save_flows(carrying.select(range(9)), tmp_path / "few.parquet")
    rest = save_flows(flows.select(range(9, 200)).remove_columns("capture"), tmp_path / "rest.parquet")
    more = tmp_path / "more.parquet"
    for options in ((), ("--method", "crossover+loss"), ("--method", tiny_gpt2), ("--unlabelled", rest)):
        words = ("augment", few, "--per-class", 12, "--output", more, *options)
        status, out, _ = run(monkeypatch, capsys, *words)
        assert status == 0, options
        assert f"{more}: 9 real and 27 added flows" in out
        made = load_flows(more)
        assert set(Counter(made["label"]).values()) == {12}
        assert made.select(range(9)).remove_columns("synthetic").to_dict() == load_flows(few).to_dict()
        assert all(mark.command.startswith("ntg augment few.parquet") for mark in provenance_of(made))


def test_the_result_as_json(flows, tmp_path, monkeypatch, capsys):
    few = save_flows(flows.select(range(9)), tmp_path / "few.parquet")
    words = ("--json", "augment", few, "--per-class", 12, "--method", "loss", "--output", tmp_path / "more.jsonl")
    status, out, _ = run(monkeypatch, capsys, *words)
    (found,) = json.loads(out)["results"]
    assert status == 0
    assert (found["real"], found["added"], found["method"]) == (9, 27, "augmentation by loss")


def test_bad_requests_are_one_line(flows, tmp_path, monkeypatch, capsys):
    few = save_flows(flows.select(range(9)), tmp_path / "few.parquet")
    for words, message in (
        (("--per-class", 0, "--output", tmp_path / "a.parquet"), "from 1"),
        (("--per-class", 9, "--output", tmp_path / "a.xyz"), "no such flow format"),
        (("--per-class", 9, "--output", tmp_path / "a.csv", "--method", "noise"), "no method 'noise'"),
        (("--per-class", 9, "--output", tmp_path / "a.csv", "--method", "no/model"), "no/model"),
    ):
        status, _, err = run(monkeypatch, capsys, "augment", few, *words)
        assert status == 2, words
        assert message in err
        assert not list(tmp_path.glob("a.*"))
