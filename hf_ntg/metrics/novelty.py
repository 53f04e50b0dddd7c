"""What is new in a set of flows, and what merely repeats."""

from __future__ import annotations

import numpy as np

from hf_ntg.metrics.info import MetricInfo
from hf_ntg.metrics.views import FlowSet, FlowView, row_bytes, view_flows

__all__ = ["COPY_RATE", "copy_rate", "flow_identity"]


def copy_rate(real: FlowSet, synthetic: FlowSet, held_out: FlowSet | None = None, max_packets: int = 10) -> dict:
    """Share of synthetic flows that repeat a training flow of their class.

    Two flows are the same when they have one class and, over the first `max_packets` packets, the same directions and
    payload lengths, and end at the same packet if they end there (SDMetrics' NewRowSynthesis takes numbers within 1 %
    for equal, unless told otherwise). Real traffic repeats itself too, so the figure means
    something only beside the same one for real flows that the generator has not seen.

    Args:
        real: the flows the generator was trained on. synthetic: its flows.
        held_out: real flows it has not seen; their own rate is returned as ``held_out``.

    Returns:
        ``overall``: share of all synthetic flows. ``per_class``. ``duplicates``: ``1 - distinct / flows`` within
        `synthetic`, which grows with its size; ``duplicates_per_class``. ``held_out``: the same of `held_out`, or None.
    """
    sets = [real, synthetic] if held_out is None else [real, synthetic, held_out]
    names, views = view_flows(*sets, max_packets=max_packets)
    identities = flow_identity(views)
    rates = [_rates(names, view, own, identities[0]) for view, own in zip(views[1:], identities[1:], strict=True)]
    return {**rates[0], "held_out": rates[1] if held_out is not None else None}


def flow_identity(views: list[FlowView]) -> list[np.ndarray]:
    """A number for each flow of each view, (N,) int64: equal where class, directions and lengths are."""
    rows = np.concatenate([np.column_stack([view.classes.astype(np.int32), view.symbols]) for view in views])
    _, numbers = np.unique(row_bytes(rows), return_inverse=True)
    return np.split(numbers, np.cumsum([len(view) for view in views])[:-1])


def _rates(names: list[str], view: FlowView, identity: np.ndarray, known: np.ndarray) -> dict:
    copied = np.bincount(view.classes, weights=np.isin(identity, known), minlength=view.num_classes)
    _, first = np.unique(identity, return_index=True)
    distinct = np.bincount(view.classes[first], minlength=view.num_classes)
    held = np.flatnonzero(view.class_counts)
    return {
        "overall": float(copied.sum() / len(view)),
        "per_class": {names[c]: float(copied[c] / view.class_counts[c]) for c in held},
        "duplicates": 1 - len(first) / len(view),
        "duplicates_per_class": {names[c]: float(1 - distinct[c] / view.class_counts[c]) for c in held},
    }


COPY_RATE = MetricInfo(
    name="copy_rate",
    title="Flows that repeat a training flow",
    group="novelty",
    unit="share",
    range=(0.0, 1.0),
    better="real",
    formula="share of flows whose class, directions and payload lengths (first packets) equal those of a training flow",
    source="exact-match share, as in SDMetrics' NewRowSynthesis, on packet sequences",
    compute=copy_rate,
    against="train",
)
