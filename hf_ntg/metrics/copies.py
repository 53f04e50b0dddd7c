"""Copies of training flows. Copies of flows seen once suggest memorisation; copies of recurring flows do not."""

from __future__ import annotations

import numpy as np

from hf_ntg.metrics.info import MetricInfo
from hf_ntg.metrics.views import FlowSet, FlowView, row_bytes, view_flows

__all__ = ["ONCE_SEEN_COPIES", "flow_identity", "once_seen_copies"]


def once_seen_copies(real: FlowSet, synthetic: FlowSet, train: FlowSet, max_packets: int = 10) -> dict:
    """Share of synthetic flows that repeat a once-seen training flow, minus that share of unseen real flows.

    A flow repeats another when both have the same class, the same directions and payload lengths of their first
    `max_packets` packets, and the same end: both end after the same packet, or both reach `max_packets` packets. Times
    and header fields are not compared. A training flow was *seen once* when no other training flow repeats it.

    Real traffic recurs. A generator that repeats a recurring training flow knows the distribution. One that repeats a
    once-seen flow may have memorised it. Unseen real flows repeat once-seen training flows too, by chance. The score is
    therefore the difference between synthetic flows and unseen real flows. It is 0 for a generator as good as real
    traffic, and negative where synthetic flows repeat less than real ones do. Apart from noise, it does not depend on
    the number of synthetic flows.

    Unseen real flows should come from the captures of the training flows. Flows of other captures repeat less, and
    the score is then too high.

    Args:
        real: real flows that the generator has not seen. train: the flows that it was trained on.

    Returns:
        ``overall``: share of synthetic flows that repeat a once-seen training flow, minus the same share of `real`, in
        percentage points. ``per_class``: the same within each class that both have. ``once_seen``: the share of
        synthetic flows. ``recurring``: share of synthetic flows that repeat a recurring training flow.
        ``once_seen_per_class``. ``unseen``: these three of `real`. ``train_once_seen``: share of training flows that
        were seen once. ``duplicates``: ``1 - distinct / flows`` within `synthetic`, which grows with its size;
        ``duplicates_per_class``.
    """
    names, views = view_flows(train, real, synthetic, max_packets=max_packets)
    identities = flow_identity(views)
    occurrences = np.bincount(identities[0], minlength=1 + max(int(part.max()) for part in identities))
    unseen, made = (_shares(names, view, occurrences[own]) for view, own in zip(views[1:], identities[1:], strict=True))
    shared = [name for name in made["once_seen_per_class"] if name in unseen["once_seen_per_class"]]
    return {
        "overall": 100 * (made["once_seen"] - unseen["once_seen"]),
        "per_class": {
            name: 100 * (made["once_seen_per_class"][name] - unseen["once_seen_per_class"][name]) for name in shared
        },
        **made,
        "unseen": unseen,
        "train_once_seen": float((occurrences[identities[0]] == 1).mean()),
        **_duplicates(names, views[2], identities[2]),
    }


def flow_identity(views: list[FlowView]) -> list[np.ndarray]:
    """A number for each flow of each view, (N,) int64. It is equal for equal class, directions and lengths."""
    rows = np.concatenate([np.column_stack([view.classes.astype(np.int32), view.symbols]) for view in views])
    _, numbers = np.unique(row_bytes(rows), return_inverse=True)
    return np.split(numbers, np.cumsum([len(view) for view in views])[:-1])


def _shares(names: list[str], view: FlowView, occurrences: np.ndarray) -> dict:
    """Shares of `view`, from how often each flow, (N,), occurs among the training flows."""
    once = np.bincount(view.classes, weights=occurrences == 1, minlength=view.num_classes)
    return {
        "once_seen": float((occurrences == 1).mean()),
        "recurring": float((occurrences > 1).mean()),
        "once_seen_per_class": {
            names[c]: float(once[c] / view.class_counts[c]) for c in np.flatnonzero(view.class_counts)
        },
    }


def _duplicates(names: list[str], view: FlowView, identity: np.ndarray) -> dict:
    """Share of flows that repeat another flow of the set, overall and per class. Equal flows have equal `identity`."""
    _, first = np.unique(identity, return_index=True)
    distinct = np.bincount(view.classes[first], minlength=view.num_classes)
    return {
        "duplicates": 1 - len(first) / len(view),
        "duplicates_per_class": {
            names[c]: float(1 - distinct[c] / view.class_counts[c]) for c in np.flatnonzero(view.class_counts)
        },
    }


ONCE_SEEN_COPIES = MetricInfo(
    name="once_seen_copies",
    title="Copies of once-seen training flows, above unseen real flows",
    group="novelty",
    unit="points",
    range=(-100.0, 100.0),
    better="real",
    formula="share of flows equal (class, directions, lengths) to a training flow seen once, less that of real flows",
    source="exact match, as in SDMetrics' NewRowSynthesis; once-seen records: Carlini et al., USENIX Security 2019",
    compute=once_seen_copies,
    needs_train=True,
)
