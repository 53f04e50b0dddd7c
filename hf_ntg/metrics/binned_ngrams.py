"""Distances between histograms of packet n-grams on ten bins, the metrics of Mirage-AppxAct's authors."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from hf_ntg.metrics.divergence import Divergence, hellinger, jensen_shannon, total_variation
from hf_ntg.metrics.info import MetricInfo
from hf_ntg.metrics.views import ENDED, FlowSet, FlowView, bounded_scores, view_flows

__all__ = ["BINNED_NGRAMS", "binned_ngrams"]

LENGTHS = (1, 2, 3)
NUM_BINS = 10
_FIELDS = ("payload_length", "direction")
_DISTANCES: dict[str, Divergence] = {
    "jensen_shannon": jensen_shannon,
    "hellinger": hellinger,
    "total_variation": total_variation,
}


def binned_ngrams(real: FlowSet, synthetic: FlowSet, max_packets: int = 10) -> dict:
    """Jensen-Shannon divergence, Hellinger distance and total variation of binned packet n-grams, class by class.

    Two fields of a packet are scored separately: its payload length, signed by direction (bytes, negative downstream),
    and its direction (1 or -1). For n = 1, 2, 3, every window of n consecutive packets is one observation; a window
    that would reach past the end of a flow is left out. The range of a field, from the least to the greatest value in
    the windows of the real flows of the class, is cut into ten bins of equal width; values outside count in the
    outermost bins. The joint histogram of the n bin numbers has 10**n cells. The distances compare the normalised
    histograms of both sides: Jensen-Shannon divergence in bits, Hellinger and total variation from 0 to 1.

    These are the definitions found in the public student project of the group that made Mirage-AppxAct, not the text of
    a paper. There, a window with an empty packet also counts as padding; the flows of that project have none. The
    project fits the bins on 1,000 random windows, and this function on all windows.

    A wide bin hides what :func:`hf_ntg.metrics.divergence.flow_jsd` sees: lengths that are a few bytes off. The score
    of real held-out flows is the floor to compare with.

    Returns:
        As :func:`hf_ntg.metrics.views.bounded_scores`, of the mean Jensen-Shannon divergence over both fields and the
        three n; and ``measures``: for each distance (``jensen_shannon``, ``hellinger``, ``total_variation``), field
        and n (``"1"``, ``"2"``, ``"3"``), ``overall`` and ``per_class``. A class scores 1 where only one side has
        windows, and 0 where neither has.
    """
    names, (p, q) = view_flows(real, synthetic, max_packets=max_packets)
    found: dict[str, dict[str, dict[str, dict]]] = {name: {field: {} for field in _FIELDS} for name in _DISTANCES}
    divergences = []
    for field in _FIELDS:
        for length in LENGTHS:
            events, groups = _binned_windows((p, q), field, length)
            for name, distance in _DISTANCES.items():
                scores = distance(events, groups, len(names))
                judged = bounded_scores(names, p, q, scores, worst=1.0)
                found[name][field][str(length)] = {key: judged[key] for key in ("overall", "per_class")}
                if name == "jensen_shannon":
                    divergences.append(scores)
    return {**bounded_scores(names, p, q, np.mean(divergences, axis=0), worst=1.0), "measures": found}


def _binned_windows(
    views: tuple[FlowView, FlowView], field: str, length: int
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """For real and synthetic flows, the histogram cell of each window, and the class of each."""
    windows, classes = zip(*(_windows(view, field, length) for view in views), strict=True)
    num_classes = views[0].num_classes
    low = np.full(num_classes, np.inf)
    high = np.full(num_classes, -np.inf)
    np.minimum.at(low, classes[0], windows[0].min(axis=1))
    np.maximum.at(high, classes[0], windows[0].max(axis=1))
    low, high = (np.where(np.isfinite(end), end, 0.0) for end in (low, high))  # a class without real windows
    width = np.where(high > low, (high - low) / NUM_BINS, 1.0)
    cells = []
    for values, owner in zip(windows, classes, strict=True):
        place = np.floor((values - low[owner, None]) / width[owner, None])
        cells.append(place.clip(0, NUM_BINS - 1).astype(np.int64) @ NUM_BINS ** np.arange(length))
    return cells, list(classes)


def _windows(view: FlowView, field: str, length: int) -> tuple[np.ndarray, np.ndarray]:
    """(windows, length) values of `field` in runs of packets, and the class of each run."""
    if length > view.max_packets:
        return np.zeros((0, length)), np.zeros(0, dtype=np.int64)
    values = view.flows.padded("signed_length" if field == "payload_length" else field, view.max_packets)
    inside = sliding_window_view(view.symbols != ENDED, length, axis=1).all(axis=2)  # (N, W - length + 1)
    runs = sliding_window_view(values.astype(np.float64), length, axis=1)[inside]
    return runs, np.repeat(view.classes, inside.sum(axis=1))


BINNED_NGRAMS = MetricInfo(
    name="binned_ngrams",
    title="Divergence of binned packet n-grams",
    group="order",
    unit="bits",
    range=(0.0, 1.0),
    better="lower",
    formula="JSD of histograms (10 bins a packet) of 1, 2, 3 packets, lengths and directions apart; mean over classes",
    source="the public student project of the group that made Mirage-AppxAct; divergence: Lin, IEEE TIT 37(1), 1991",
    compute=binned_ngrams,
)
