"""scripts/measure_privacy.py on a tiny table: what it measures, and that it does nothing twice."""

import sys
from argparse import Namespace
from pathlib import Path

import pytest

from hf_ntg.flows import save_flows

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import measure_privacy

    yield measure_privacy
    sys.modules.pop("measure_privacy", None)


def test_every_run_is_one_line_and_done_once(script, flows, tmp_path, monkeypatch):
    source = save_flows(flows, tmp_path / "small.parquet")
    given = {"models": "private-n-gram", "open": "4-gram", "epsilons": "2,8", "seeds": 1, "tune": False}
    given |= {"times": False, "max_packets": 4, "settings": {}, "open_settings": {}, "public": "", "public_model": None}
    args = Namespace(flows=[str(source)], output=tmp_path / "privacy.jsonl", **given)
    script.run(args)
    rows = script.read(args.output)
    assert [(row["model"], row["epsilon"]) for row in rows] == [
        ("real", "inf"),
        ("4-gram", "inf"),
        ("private-n-gram", "2.0"),
        ("private-n-gram", "8.0"),
    ]
    assert [row["privacy"] is None for row in rows] == [True, True, False, False]
    monkeypatch.setattr(script, "judge", None)  # nothing is measured again
    script.run(args)
    assert "| small | private-n-gram | 8 |" in script.report(rows)
