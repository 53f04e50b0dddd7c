"""scripts/tune_privacy.py on a tiny table: it sees no test flow of the study, and does nothing twice."""

import sys
from pathlib import Path

import pytest

from hf_ntg.flows import load_flows, save_flows, split_flows
from hf_ntg.flows.view import flows_in_view
from hf_ntg.study import run

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import tune_privacy

    yield tune_privacy
    sys.modules.pop("tune_privacy", None)


def known(flows):
    """A name for each flow by its content."""
    return set(map(str, zip(flows["source_port"], flows["inter_arrival_time"], strict=True)))


def test_settings_are_judged_on_training_flows_alone(script, flows, tmp_path, monkeypatch):
    source = str(save_flows(flows, tmp_path / "small.parquet"))
    output = tmp_path / "tuning"
    said = script.tune([source], output, "private-n-gram", "8,1", {"batch_size": 64})
    assert "batch_size 64" in said
    assert "| private-n-gram, ε = 1 |" in said
    in_view = flows_in_view(load_flows(source), "payload")[0].to_dataset()
    test = split_flows(in_view, by="random", seed=0)["test"]
    assert not known(test) & known(load_flows(output / "training" / "small.parquet"))
    monkeypatch.setattr(run, "_do", None)  # nothing is measured again
    assert script.tune([source], output, "private-n-gram", "8,1", {"batch_size": 64}) == said


def test_settings_are_numbers_words_or_switches(script):
    assert dict(map(script.setting, ["batch_size=64", "optimizer=adamw", "structured=False"])) == {
        "batch_size": 64,
        "optimizer": "adamw",
        "structured": False,
    }
