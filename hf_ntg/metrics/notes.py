"""The notes of an evaluation: sentences about what was left out, scored by rule, or is unreliable."""

from __future__ import annotations

from collections import Counter

from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.metrics.membership import OTHER_CAPTURES
from hf_ntg.metrics.registry import RealFlows

__all__ = ["evaluation_notes"]

_SAME_SIZE = 0.05  # relative difference of two numbers of flows that changes no score
FEW_CAPTURES = 10  # with fewer, the interval is unreliable


def evaluation_notes(
    counts: dict[str, Counter], unlabelled: dict[str, int], real: RealFlows, metrics: dict[str, dict]
) -> list[str]:
    """Notes on one evaluation.

    Args:
        counts: flows of each class, for each table. unlabelled: flows without a label, for each table.
        real: the real flows.
        metrics: the results, as :func:`hf_ntg.metrics.full_evaluation.evaluate_flows` returns them.
    """
    notes = [f"{number} {name} flows have no label and were left out." for name, number in unlabelled.items() if number]
    return notes + _class_notes(counts) + _size_notes(counts) + _capture_notes(real, metrics) + _unmeasured(metrics)


def _class_notes(counts: dict[str, Counter]) -> list[str]:
    """Notes on classes that are in some of the tables only."""
    notes = []
    missing = sorted(counts["test"].keys() - counts["synthetic"].keys())
    if missing:
        notes.append(
            f"{len(missing)} classes of the test flows have no synthetic flow ({', '.join(missing)}): they score the "
            "worst divergence and F1, and are left out of distances, which have no worst value."
        )
    untested = sorted((counts["train"].keys() | counts["synthetic"].keys()) - counts["test"].keys())
    if untested:
        train, synthetic = (sum(counts[name][label] for label in untested) for name in ("train", "synthetic"))
        notes.append(
            f"{len(untested)} classes are not among the test flows ({', '.join(untested)}; {train} training and "
            f"{synthetic} synthetic flows): they are not judged, but a classifier may mistake test flows for them."
        )
    unknown = sorted(counts["synthetic"].keys() - counts["train"].keys())
    if unknown:
        notes.append(f"No baseline can make the synthetic labels {', '.join(unknown)}: no training flow has them.")
    return notes


def _size_notes(counts: dict[str, Counter]) -> list[str]:
    made, trained = (counts[name].total() for name in ("synthetic", "train"))
    if abs(made - trained) <= _SAME_SIZE * trained:
        return []
    return [
        f"There are {made:,} synthetic flows (and as many of each baseline) against {trained:,} training flows in the "
        "column 'real': a larger sample lowers divergences and trains a better classifier."
    ]


def _capture_notes(real: RealFlows, metrics: dict[str, dict]) -> list[str]:
    notes = []
    scored = metrics["tstr"]["columns"]["synthetic"]
    if scored["interval_by"] == "captures" and scored["interval_units"] < FEW_CAPTURES:
        notes.append(
            f"The test flows come from {scored['interval_units']} captures: intervals over so few are only a guide."
        )
    if real.held_back is None and _other_captures(real.test, real.train):
        notes.append(
            f"Membership inference is left out: {OTHER_CAPTURES}. The excess of copies is measured against test flows "
            "of other captures, which repeat less than unseen flows of the same captures do: read it as an upper bound."
        )
    return notes


def _unmeasured(metrics: dict[str, dict]) -> list[str]:
    """Metrics that have no score for the synthetic flows, and why; membership inference is explained elsewhere."""
    found = {name: metric["columns"]["synthetic"] for name, metric in metrics.items()}
    return [
        f"{metrics[name]['title']} has no score: {column['reason']}."
        for name, column in found.items()
        if column["overall"] is None and column["reason"] != OTHER_CAPTURES
    ]


def _other_captures(test: FlowArrays, train: FlowArrays) -> bool:
    """Whether both sides name all their captures and share none."""
    if test.capture is None or train.capture is None:
        return False
    sides = [set(captures.tolist()) for captures in (test.capture, train.capture)]
    return None not in sides[0] | sides[1] and not sides[0] & sides[1]
