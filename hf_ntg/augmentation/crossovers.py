"""Crossover: the beginning of one flow and the rest of another flow of the class."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hf_ntg.augmentation.edits import arrival_times, draw_below, rebuild
from hf_ntg.flows.arrays import FlowArrays, ragged_positions

__all__ = ["crossover"]


def crossover(flows: FlowArrays, rng: np.random.Generator, max_packets: int, *, slip: int = 1) -> FlowArrays:
    """Keep the packets of a flow up to a random cut, and go on with the packets of another flow of its class.

    The other flow is drawn evenly from the flows of the same label in `flows`; it may be the flow itself. It is cut at
    most `slip` packets before or after the same position. The gap at the cut is the one before the other flow's packet.

    Source: one-point crossover of genetic algorithms (Holland, 1975); between samples of one class as "CutMix" of Wang
    et al., Data augmentation for traffic classification, PAM 2024, which exchanges segments at the same position.
    """
    other = _same_class(flows.label, rng)
    cut = 1 + draw_below(flows.num_packets, rng)  # packets kept of the flow itself
    resumed = np.clip(cut + rng.integers(-slip, slip + 1, len(flows)), 1, flows.num_packets[other])
    tail = flows.num_packets[other] - resumed
    kept = np.flatnonzero(flows.position < cut[flows.flow_index])
    owner = np.repeat(np.arange(len(flows)), tail)
    taken = np.repeat(flows.offsets[other] + resumed, tail) + ragged_positions(tail)
    arrivals = arrival_times(flows)
    # The other flow's clock is set so that its last packet before the cut arrives with the last one that is kept.
    offset = arrivals[flows.offsets[:-1] + cut - 1] - arrivals[flows.offsets[other] + resumed - 1]
    ended = flows if flows.cut is None else replace(flows, cut=flows.cut[other])
    return rebuild(
        ended,
        np.concatenate([flows.flow_index[kept], owner]),
        np.concatenate([kept, taken]),
        np.concatenate([arrivals[kept], arrivals[taken] + offset[owner]]),
        max_packets,
    )


def _same_class(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N,) for each flow, a random flow of the same label."""
    _, classes = np.unique(labels.astype(str), return_inverse=True)
    order, counts = np.argsort(classes, kind="stable"), np.bincount(classes)
    starts = np.cumsum(counts) - counts
    return order[starts[classes] + draw_below(counts[classes], rng)]
