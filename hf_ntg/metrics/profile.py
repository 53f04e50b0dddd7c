"""Profiles of flows for plots: histograms of lengths by packet position, and quantiles."""

from __future__ import annotations

import numpy as np

from hf_ntg.constants import MAX_SEGMENT
from hf_ntg.metrics.distance import log_times
from hf_ntg.metrics.views import FlowSet, FlowView, view_flows

__all__ = ["LENGTH_EDGES", "describe_flows"]

MAX_CLASSES = 24
# One bin for empty payloads, 16 bins of equal width on a square-root scale up to 1,460 bytes, one bin above.
LENGTH_EDGES = (np.linspace(0, np.sqrt(MAX_SEGMENT), 17) ** 2).round(1).tolist()
_PERCENTS = np.arange(0, 101)


def describe_flows(sets: dict[str, FlowSet], max_packets: int = 10, max_classes: int = MAX_CLASSES) -> dict:
    """Describe each of `sets`, class by class, for the largest classes of the first set.

    Returns:
        ``length_edges``: upper edges of the length bins (bytes). The first bin holds empty payloads; the last is open.
        ``classes``: the described classes, the largest first. ``left_out``: how many classes are not described.
        ``sets``: for each set and class: ``flows``; ``upstream`` and ``downstream``, each (positions, bins), the share
        of the class's flows whose packet at that position is in that bin (flows that have ended are in no bin);
        ``payload_length`` (bytes) and ``inter_arrival_time`` (seconds): their percentiles 0 to 100, or None.
    """
    names, views = view_flows(*sets.values(), max_packets=max_packets)
    order = np.argsort(-views[0].class_counts, kind="stable")
    order = order[views[0].class_counts[order] > 0]
    chosen = order[:max_classes]
    return {
        "length_edges": LENGTH_EDGES,
        "classes": [names[c] for c in chosen],
        "left_out": len(order) - len(chosen),
        "sets": {
            name: {names[c]: _describe_class(view, c) for c in chosen if view.class_counts[c]}
            for name, view in zip(sets, views, strict=True)
        },
    }


def _describe_class(view: FlowView, label: int) -> dict:
    """Histograms and percentiles of the flows of class number `label`."""
    own = FlowView(view.flows.take(view.classes == label), np.zeros(view.class_counts[label], int), 1, view.max_packets)
    flows = own.flows
    bins = len(LENGTH_EDGES) + 1
    place = (flows.direction < 0) * view.max_packets + flows.position
    counts = np.bincount(
        place * bins + np.searchsorted(LENGTH_EDGES, flows.payload_length), minlength=2 * view.max_packets * bins
    )
    upstream, downstream = (counts / len(flows)).round(4).reshape(2, view.max_packets, bins).tolist()
    times = None
    if flows.inter_arrival_time is not None and (flows.position > 0).any():
        times = [float(f"{10**value:.4g}") for value in np.percentile(log_times(own)[0], _PERCENTS)]
    return {
        "flows": len(flows),
        "upstream": upstream,
        "downstream": downstream,
        "payload_length": np.percentile(flows.payload_length, _PERCENTS).round(1).tolist(),
        "inter_arrival_time": times,
    }
