"""Transformations that leave packets out: packet loss, masking, and a late start of the capture."""

from __future__ import annotations

import numpy as np

from hf_ntg.augmentation.edits import arrival_times, draw_below, rebuild, within
from hf_ntg.flows.arrays import FlowArrays

__all__ = ["masking", "packet_loss", "packet_shift"]


def packet_loss(
    flows: FlowArrays, rng: np.random.Generator, max_packets: int, *, probability: float = 0.15
) -> FlowArrays:
    """Lose each packet independently, as at a lossy link before the tap.

    A flow that would lose all its packets keeps one of them, drawn evenly.

    Source: "packet loss" of Horowicz, Shapira, Shavitt, A few shots traffic classification with mini-FlowPic
    augmentations, IMC 2022, which loses the packets of a time window; independent losses are the Bernoulli mask of Wang
    et al., Data augmentation for traffic classification, PAM 2024.
    """
    kept = rng.random(len(flows.position)) >= probability
    left = np.bincount(flows.flow_index[kept], minlength=len(flows))
    spared = draw_below(flows.num_packets, rng)
    kept |= (left == 0)[flows.flow_index] & (flows.position == spared[flows.flow_index])
    return _keep(flows, kept, max_packets)


def masking(flows: FlowArrays, rng: np.random.Generator, max_packets: int, *, most: int = 3) -> FlowArrays:
    """Leave out a run of 1 to `most` neighbouring packets at a random position.

    A packet cannot be hidden in a flow without leaving it out, so the values of a masked packet are not set to zero. A
    flow keeps at least one packet.

    Source: "window mask" of Wang et al., Data augmentation for traffic classification, PAM 2024.
    """
    count = 1 + draw_below(np.minimum(most, flows.num_packets - 1), rng)
    first = draw_below(flows.num_packets - count + 1, rng)
    count[flows.num_packets == 1] = 0
    return _keep(flows, ~within(flows, first, count), max_packets)


def packet_shift(flows: FlowArrays, rng: np.random.Generator, max_packets: int, *, most: int = 3) -> FlowArrays:
    """Shift the packets behind a random position by 1 to `most` places, towards the start or away from it.

    Towards the start, the packets in between are lost. Away from it, they occur twice in a row, and the packets behind
    them wait for as long as the repetition lasts. The initial packets may be the ones that are lost or repeated.

    Source: "translation" of Wang et al., Data augmentation for traffic classification, PAM 2024; "packet subsequence
    shift" of Xie et al., Rosetta: enabling robust TLS encrypted traffic classification in diverse network environments
    with TCP-aware traffic augmentation, USENIX Security 2023.
    """
    count = 1 + draw_below(np.minimum(most, flows.num_packets - 1), rng)
    first = draw_below(flows.num_packets - count + 1, rng)
    lost = (rng.random(len(flows)) < 0.5) & (flows.num_packets > 1)
    arrivals = arrival_times(flows)
    start, end = (arrivals[flows.offsets[:-1] + place] for place in (first, first + count - 1))
    moved = within(flows, first, count)
    behind = flows.position >= (first + count)[flows.flow_index]
    kept = np.flatnonzero(~(moved & lost[flows.flow_index]))
    again = np.flatnonzero(moved & ~lost[flows.flow_index])
    wait = np.where(lost, 0, end - start)[flows.flow_index]
    packets = np.concatenate([kept, again, kept])
    times = np.concatenate([arrivals[kept], (arrivals + wait)[again], (arrivals + wait)[kept]])
    late = behind[kept]
    chosen = np.concatenate([~late, np.ones(len(again), dtype=bool), late])
    return rebuild(flows, flows.flow_index[packets[chosen]], packets[chosen], times[chosen], max_packets)


def _keep(flows: FlowArrays, kept: np.ndarray, max_packets: int) -> FlowArrays:
    packets = np.flatnonzero(kept)
    return rebuild(flows, flows.flow_index[packets], packets, arrival_times(flows)[packets], max_packets)
