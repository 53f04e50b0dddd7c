"""Rebuild flows after packets were removed, repeated, moved or taken from another flow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from hf_ntg.flows.arrays import FlowArrays, ragged_positions

__all__ = ["arrival_times", "draw_below", "joined", "rebuild", "within"]


def arrival_times(flows: FlowArrays) -> np.ndarray:
    """Seconds from the first packet of its flow to each packet: (P,) float64.

    Flows without times get the packet's position instead: it keeps the order, and no time is written.
    """
    if flows.inter_arrival_time is None:
        return flows.position.astype(np.float64)
    gaps = np.where(flows.position == 0, 0, flows.inter_arrival_time).astype(np.float64)
    since = np.cumsum(gaps)
    return since - np.repeat(since[flows.offsets[:-1]], flows.num_packets)


def draw_below(bounds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N,) int64 drawn evenly from 0 to ``bounds[i] - 1``; 0 where the bound is below 1."""
    return (rng.random(len(bounds)) * np.maximum(bounds, 1)).astype(np.int64)


def within(flows: FlowArrays, first: np.ndarray, count: np.ndarray) -> np.ndarray:
    """(P,) whether a packet is one of the ``count[i]`` packets from position ``first[i]`` of its flow i."""
    from_first = flows.position - first[flows.flow_index]
    return (from_first >= 0) & (from_first < count[flows.flow_index])


def rebuild(
    flows: FlowArrays, owner: np.ndarray, packets: np.ndarray, arrivals: np.ndarray, max_packets: int
) -> FlowArrays:
    """Make N new flows of chosen packets of the N `flows`, each in the order of its arrival times.

    Gaps are the differences of arrival times, so they sum up to the time between any two packets; the first is 0. The
    header facts and the label of flow i stay. ``packet_count`` changes by the number of packets that were added or
    removed. ``flow_id`` and ``capture`` become null: no capture holds these flows.

    Args:
        owner: (Q,) which new flow a chosen packet belongs to. Every flow needs a packet.
        packets: (Q,) place of a chosen packet among the P packets of `flows`. It may be chosen several times.
        arrivals: (Q,) its arrival time in seconds, counted from the start of its new flow. Packets that arrive at the
            same time keep their order.
        max_packets: new flows are cut to this many packets.
    """
    order = np.lexsort((arrivals, owner))
    owner, packets, arrivals = owner[order], packets[order], arrivals[order]
    reached = np.bincount(owner, minlength=len(flows))
    position = ragged_positions(reached)
    gaps = np.diff(arrivals, prepend=0)
    gaps[position == 0] = 0
    kept = position < max_packets
    packets, gaps = packets[kept], gaps[kept]
    held = np.minimum(reached, max_packets)
    count = flows.packet_count
    if count is not None:
        count = np.where(count < 0, -1, np.maximum(count + reached - flows.num_packets, held)).astype(np.int32)
    unknown = np.full(len(flows), None, dtype=object)
    cut = None if flows.cut is None else flows.cut | (reached > max_packets)
    return replace(
        flows,
        offsets=np.concatenate([[0], np.cumsum(held)]),
        payload_length=flows.payload_length[packets],
        direction=flows.direction[packets],
        inter_arrival_time=None if flows.inter_arrival_time is None else gaps.astype(np.float32),
        tcp_window=None if flows.tcp_window is None else flows.tcp_window[packets],
        flow_id=None if flows.flow_id is None else unknown,
        capture=None if flows.capture is None else unknown,
        packet_count=count,
        cut=cut,
    )


def joined(parts: Sequence[FlowArrays]) -> FlowArrays:
    """The flows of all `parts`, which have the same columns, one part after another."""
    ends = np.cumsum([0, *(part.offsets[-1] for part in parts)])
    shifted = [part.offsets[1:] + end for part, end in zip(parts, ends, strict=False)]
    changed: dict[str, Any] = {"offsets": np.concatenate([np.zeros(1, dtype=np.int64), *shifted])}
    for field in fields(FlowArrays)[1:]:
        columns = [getattr(part, field.name) for part in parts]
        if isinstance(columns[0], np.ndarray):
            changed[field.name] = np.concatenate(columns)
    return replace(parts[0], **changed)
