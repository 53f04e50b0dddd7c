"""Transformations that repeat or delay packets as TCP retransmissions do."""

from __future__ import annotations

import numpy as np

from hf_ntg.augmentation.edits import arrival_times, rebuild, within
from hf_ntg.flows.arrays import FlowArrays

__all__ = ["fast_retransmit", "time_out"]

_TIMEOUT = 0.2  # seconds; shortest retransmission time-out of Linux (RFC 6298 asks for one second)


def fast_retransmit(flows: FlowArrays, rng: np.random.Generator, max_packets: int, *, most: int = 4) -> FlowArrays:
    """Send one packet again, 1 to `most` packets later, as after duplicate acknowledgements (RFC 5681).

    In half of the flows the first copy was lost before the tap, so the packet is delayed rather than repeated. Packets
    that carry payload are chosen before empty ones, which TCP does not send again.

    Source: packet duplication of Xie et al., Rosetta, USENIX Security 2023; "Dup-FastRetr" and "Perm-FastRetr" of Wang
    et al., Data augmentation for traffic classification, PAM 2024.
    """
    sent = _data_packet(flows, rng)
    later = np.minimum(sent + rng.integers(1, most + 1, len(flows)), flows.offsets[1:] - 1)
    lost = rng.random(len(flows)) < 0.5
    arrivals = arrival_times(flows)
    kept = np.ones(len(arrivals), dtype=bool)
    kept[sent[lost]] = False
    packets = np.concatenate([np.flatnonzero(kept), sent])
    times = np.concatenate([arrivals[kept], arrivals[later]])
    return rebuild(flows, flows.flow_index[packets], packets, times, max_packets)


def time_out(flows: FlowArrays, rng: np.random.Generator, max_packets: int, *, most: int = 3) -> FlowArrays:
    """Send up to `most` packets of one direction again after a time-out; the packets behind them wait.

    The time-out is 0.2, 0.4 or 0.8 seconds: the sender doubles it each time (RFC 6298). In half of the flows the first
    copies were lost before the tap, so the packets are delayed rather than repeated.

    Source: packet subsequence duplication and shift of Xie et al., Rosetta, USENIX Security 2023; "Dup-RTO" and
    "Perm-RTO" of Wang et al., Data augmentation for traffic classification, PAM 2024.
    """
    sent = _data_packet(flows, rng)
    first = sent - flows.offsets[:-1]
    count = rng.integers(1, most + 1, len(flows))
    window = within(flows, first, count)
    again = window & (flows.direction == flows.direction[sent][flows.flow_index])
    behind = flows.position >= (first + count)[flows.flow_index]
    lost = (rng.random(len(flows)) < 0.5)[flows.flow_index]
    arrivals = arrival_times(flows)
    end = arrivals[np.minimum(sent + count, flows.offsets[1:]) - 1]
    # The copies follow the window's last packet by the time-out, as far apart as the packets were before.
    wait = (end - arrivals[sent] + _TIMEOUT * 2.0 ** rng.integers(0, 3, len(flows)))[flows.flow_index]
    kept = ~behind & ~(again & lost)
    packets = np.concatenate([np.flatnonzero(kept), np.flatnonzero(again), np.flatnonzero(behind)])
    times = np.concatenate([arrivals[kept], (arrivals + wait)[again], (arrivals + wait)[behind]])
    return rebuild(flows, flows.flow_index[packets], packets, times, max_packets)


def _data_packet(flows: FlowArrays, rng: np.random.Generator) -> np.ndarray:
    """(N,) a random packet of each flow, among those with payload if there are any: its place among all P packets."""
    weight = rng.random(len(flows.position)) + (flows.payload_length > 0)
    return np.lexsort((-weight, flows.flow_index))[flows.offsets[:-1]]
