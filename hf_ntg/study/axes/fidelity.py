"""How like real flows synthetic ones are, by every metric but the classifier's use, which has an axis of its own."""

from __future__ import annotations

from typing import Any

from sklearn.metrics import roc_auc_score

from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.metrics import METRICS
from hf_ntg.metrics.fidelity import measure
from hf_ntg.study.axes.bench import Generator, Split, Workbench
from hf_ntg.study.plan import REAL, Run

__all__ = ["judge_fidelity", "likelihood_membership"]

# Figures beside a metric's main one that are measures of their own.
_SECONDARY = {
    "flow_jsd": ("weighted",),
    "coverage": ("precision", "recall", "density"),
    "copy_rate": ("duplicates",),
    "membership_inference": ("tpr_at_1_percent_fpr",),
}


def judge_fidelity(run: Run, bench: Workbench) -> dict:
    """Every metric of one draw of as many flows as the generator learned from; for `REAL`, of the training flows."""
    split = bench.split(run.flows, run.by, run.seed)
    judged = split.train_arrays
    if run.model != REAL:
        judged = FlowArrays.from_dataset(bench.synthetic(run))
    measures, details, notes = {}, {}, []
    for metric in METRICS:
        if metric.group == "use":
            continue
        column = "real" if run.model == REAL else "synthetic"
        found = measure(
            metric, column, split.train_arrays, split.test_arrays, judged, bench.profile.max_packets, run.seed
        )
        measures[metric.name] = found["overall"]
        if found["overall"] is None:
            notes.append(f"{metric.name}: {found['reason']}")
        measures |= {f"{metric.name}.{key}": found.get(key) for key in _SECONDARY.get(metric.name, ())}
        details[metric.name] = {key: found[key] for key in ("per_class", "per_position") if found.get(key)}
    if run.model != REAL:
        fitted = bench.generator(run.flows, run.by, run.seed, run.model)
        told, why = likelihood_membership(fitted.generator, split)
        measures |= told
        notes += why
    return {"measures": measures, "details": details, "notes": notes}


def likelihood_membership(generator: Generator, split: Split) -> tuple[dict[str, Any], list[str]]:
    """Membership inference by likelihood: AUC of naming training flows, against test flows, by their likelihood.

    Only flows of classes that both sets have are asked about. Returns the measures, and why there is none.
    """
    name = "likelihood_membership"
    if not hasattr(generator, "log_likelihood"):
        return {name: None}, [f"{name}: the generator gives flows no likelihood"]
    labels = set(split.train["label"]) & set(split.test["label"])
    scores, members = [], []
    for is_member, flows in ((1, split.train), (0, split.test)):
        asked = flows.select([row for row, label in enumerate(flows["label"]) if label in labels])
        scores += list(generator.log_likelihood(asked))
        members += [is_member] * len(asked)
    return {name: float(roc_auc_score(members, scores))}, []
