"""scripts/measure_few_labels.py on a small table: each run is done once, and its report compares like with like."""

import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
from made_flows import two_services

from hf_ntg.flows import save_flows

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import measure_few_labels

    yield measure_few_labels
    sys.modules.pop("measure_few_labels", None)


def test_every_run_is_one_line_and_done_once(script, tmp_path, monkeypatch):
    source = save_flows(two_services(40, 0), tmp_path / "small.parquet")
    methods = "all;loss;auto;classifier:auto;unlabelled;classifier:unlabelled"
    given = {"by": "random", "shots": "2,4", "draws": 1, "splits": 1, "per_class": 20, "methods": methods}
    args = Namespace(flows=[str(source)], output=tmp_path / "few.jsonl", **given)
    monkeypatch.setattr(script, "choose_method", lambda few, per_class, seed: Namespace(method="crossover"))
    script.measure(args)
    rows = script.read(args.output)
    names = ["none", *methods.split(";")]
    assert [(row["shots"], row["method"]) for row in rows] == [
        *((2, name) for name in names),
        *((4, name) for name in names if name != "all"),  # all labels: the same for any number
    ]
    assert {row["method"] for row in rows if row["chosen"]} == {"auto", "classifier:auto"}
    monkeypatch.setattr(script, "Cell", lambda *args: None)
    script.measure(args)  # nothing is measured again
    assert script.read(args.output) == rows


def test_gains_are_paired_and_the_gap_is_that_of_a_split(script):
    place = {"table": "t", "by": "random", "shots": 5}
    runs = [
        *(("all", split, 0, score) for split, score in ((0, 0.9), (1, 0.7))),
        *(("none", split, draw, 0.5) for split in (0, 1) for draw in (0, 1)),
        *(("unlabelled", split, draw, 0.6) for split in (0, 1) for draw in (0, 1)),
        ("loss", 0, 1, 0.52),  # a run that is alone counts where it is
    ]
    rows = [place | {"method": name, "split": split, "draw": draw, "f1": score} for name, split, draw, score in runs]
    lines = script.report(rows).splitlines()
    assert lines[2] == "| none | 50.0 | 50.0 |"
    assert "| all | +30.0 ± 18.4 | +30.00 |" in lines  # over 40, 40, 20, 20
    assert "| loss | +2.0 ± nan | +2.00 |" in lines
    assert "| gap to all labels closed by unlabelled | 33% | |" in lines
    assert script.half_interval(np.array([1.0, 1.0])) == 0
