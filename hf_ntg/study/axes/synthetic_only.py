"""Classifiers that are trained on synthetic flows alone."""

from __future__ import annotations

from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.study.axes.bench import Workbench
from hf_ntg.study.axes.classifiers import train_and_test
from hf_ntg.study.plan import REAL, Run

__all__ = ["judge_synthetic_only"]


def judge_synthetic_only(run: Run, bench: Workbench) -> dict:
    """Train a classifier on synthetic flows, and test it on real test flows.

    The number of synthetic flows is the run's ``times`` times that of training flows. For `REAL`, the classifier is
    trained on the training flows themselves.
    """
    split = bench.split(run.flows, run.by, run.seed)
    training = split.train_arrays
    if run.model != REAL:
        training = FlowArrays.from_dataset(bench.synthetic(run, run["times"]))
    found = train_and_test(run["classifier"], split.test_arrays, training, bench.profile.max_packets, run.seed)
    details = {name: found.pop(name) for name in ("per_class", "confusion", "training_flows", "inputs")}
    return {"measures": found, "details": details, "notes": []}
