"""Fidelity, usefulness and privacy at several lengths of training."""

from __future__ import annotations

import shutil
from dataclasses import replace

from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.metrics.copies import once_seen_copies
from hf_ntg.metrics.divergence import flow_jsd
from hf_ntg.metrics.neighbours import membership_inference, nearest_distance
from hf_ntg.study.axes.bench import Fitted, Workbench
from hf_ntg.study.axes.classifiers import train_and_test
from hf_ntg.study.axes.fidelity import attack_by_likelihood
from hf_ntg.study.plan import Run
from hf_ntg.training.config import TrainingConfig

__all__ = ["judge_training_length", "shortened"]


def judge_training_length(run: Run, bench: Workbench) -> dict:
    """Train for a fraction of the recipe's length, with a schedule of that length, and evaluate the result."""
    if run["budget"] == 1:
        fitted = bench.generator(run.flows, run.by, run.seed, run.model)
        return _judge(run, bench, fitted)
    split = bench.split(run.flows, run.by, run.seed)
    config = shortened(bench.config(run.model, run.seed), run["budget"])
    fitted = bench.fit(run.model, split.train, config, bench.folder_of(run))
    found = _judge(run, bench, fitted)
    shutil.rmtree(fitted.folder)  # no other run needs it
    return found


def shortened(config: TrainingConfig, share: float) -> TrainingConfig:
    """`config` with its epochs and steps multiplied by `share`."""
    steps = None if config.max_steps is None else max(1, round(share * config.max_steps))
    epochs, least = max(1, round(share * config.epochs)), round(share * config.min_steps)
    return replace(config, epochs=epochs, min_steps=least, max_steps=steps, max_memory=None)


def _judge(run: Run, bench: Workbench, fitted: Fitted) -> dict:
    """Measures of a generator that was trained for one length."""
    split, width = bench.split(run.flows, run.by, run.seed), {"max_packets": bench.profile.max_packets}
    made = FlowArrays.from_dataset(fitted.generator.generate(label=split.counts, seed=100 * run.seed))
    train, test = split.train_arrays, split.test_arrays
    copies = once_seen_copies(split.unseen, made, train, **width)
    attack = membership_inference(split.unseen, made, train, **width, seed=run.seed)
    likelihood, notes = attack_by_likelihood(fitted, split, bench.profile.max_packets, run.seed)
    if attack["overall"] is None:
        notes = [f"membership_inference: {attack['reason']}", *notes]
    measures = {
        "flow_jsd": flow_jsd(test, made, **width)["overall"],
        "macro_f1": train_and_test("random_forest", test, made, bench.profile.max_packets, run.seed)["macro_f1"],
        "once_seen_copies": copies["overall"],
        "nearest_distance": nearest_distance(train, made, **width)["overall"],
        "membership_inference": attack["overall"],
        "membership_inference.tpr_at_1_percent_fpr": attack.get("tpr_at_1_percent_fpr"),
        **likelihood,
        **{name: fitted.facts[name] for name in ("training_seconds", "training_cpu_seconds")},
    }
    return {"measures": measures, "details": {"trained_on": fitted.facts.get("device")}, "notes": notes}
