"""Fidelity: every metric of synthetic flows except their usefulness to a classifier, which is another axis."""

from __future__ import annotations

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.metrics import METRICS
from hf_ntg.metrics.membership import LIKELIHOOD_MEMBERSHIP, likelihood_membership
from hf_ntg.metrics.registry import RealFlows, measure
from hf_ntg.study.axes.bench import Fitted, Split, Workbench
from hf_ntg.study.plan import REAL, Run

__all__ = ["attack_by_likelihood", "judge_fidelity"]

# Parts of a metric's result that are reported as measures of their own.
_SECONDARY = {
    "flow_jsd": ("weighted",),
    "coverage": ("precision", "recall", "density"),
    "once_seen_copies": ("once_seen", "recurring", "duplicates"),
    "membership_inference": ("tpr_at_1_percent_fpr",),
}


def judge_fidelity(run: Run, bench: Workbench) -> dict:
    """Compute every metric for as many synthetic flows as training flows; for `REAL`, for the training flows."""
    split = bench.split(run.flows, run.by, run.seed)
    real = RealFlows(split.train_arrays, split.test_arrays, split.held_back)
    judged = None if run.model == REAL else FlowArrays.from_dataset(bench.synthetic(run))
    measures, details, notes = {}, {}, []
    for metric in METRICS:
        if metric.group == "use":
            continue
        found = measure(metric, real, judged, bench.profile.max_packets, run.seed)
        measures[metric.name] = found["overall"]
        if found["overall"] is None:
            notes.append(f"{metric.name}: {found['reason']}")
        measures |= {f"{metric.name}.{key}": found.get(key) for key in _SECONDARY.get(metric.name, ())}
        details[metric.name] = {key: found[key] for key in ("per_class", "per_position") if found.get(key)}
    if run.model != REAL:
        fitted = bench.generator(run.flows, run.by, run.seed, run.model)
        attack, why = attack_by_likelihood(fitted, split, bench.profile.max_packets, run.seed)
        measures |= attack
        notes += why
    return {"measures": measures, "details": details, "notes": notes}


def attack_by_likelihood(fitted: Fitted, split: Split, max_packets: int, seed: int) -> tuple[dict, list[str]]:
    """The measures of :func:`hf_ntg.metrics.membership.likelihood_membership`, and the reason if there are none."""
    name = LIKELIHOOD_MEMBERSHIP.name
    if not fitted.generator.has_likelihood:
        return {name: None}, [f"{name}: the generator has no likelihood"]
    try:
        found = likelihood_membership(
            split.unseen, split.train_arrays, fitted.generator.log_likelihood, max_packets=max_packets, seed=seed
        )
    except InputError as error:  # such as a protocol that only test flows have
        return {name: None}, [f"{name}: {error}"]
    if found["overall"] is None:
        return {name: None}, [f"{name}: {found['reason']}"]
    return {
        name: found["overall"],
        f"{name}.tpr_at_1_percent_fpr": found["tpr_at_1_percent_fpr"],
        f"{name}.calibrated": found["calibrated"]["overall"],
    }, []
