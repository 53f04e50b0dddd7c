"""Simple data augmentation: copies of real flows with small random changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from datasets import Dataset

from hf_ntg.constants import MAX_SEGMENT
from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays

__all__ = ["perturb_flows"]

LENGTH_SPREAD, TIME_SPREAD, LOST = 0.05, 0.2, 0.1
MOST = MAX_SEGMENT  # bytes; a payload that was longer keeps its length


def perturb_flows(flows: Dataset, kind: str, counts: dict[str, int], seed: int, max_packets: int = 10) -> Dataset:
    """Make ``counts[label]`` flows of each class, each a changed copy of a flow drawn from `flows` with replacement.

    ``jitter`` multiplies every payload length above 0 by a normal factor (mean 1, deviation 0.05) and every time by a
    log-normal one (deviation 0.2). ``masking`` drops each packet but the first with probability 0.1, as a lossy tap
    does, and adds its inter-arrival time to that of the next.

    Args:
        flows: real labelled flows. kind: ``jitter`` or ``masking``. counts: flows to make of each class.
        max_packets: flows are cut to this many packets before they are changed.

    Raises:
        InputError: there is no such `kind`, or `flows` lack a label of `counts`.
    """
    arrays, rng = FlowArrays.from_dataset(flows).head(max_packets), np.random.default_rng(seed)
    rows = []
    for label, count in counts.items():
        own = np.flatnonzero(arrays.label == label)
        if not len(own):
            raise InputError(f"no flow of class {label!r} to change")
        rows.append(rng.choice(own, count))
    drawn = replace(arrays.take(np.concatenate(rows)), flow_id=None, capture=None)
    if kind == "jitter":
        return _jittered(drawn, rng).to_dataset()
    if kind == "masking":
        return _masked(drawn, rng).to_dataset()
    raise InputError(f"no change of flows called {kind!r}; choose 'jitter' or 'masking'")


def _jittered(flows: FlowArrays, rng: np.random.Generator) -> FlowArrays:
    length = flows.payload_length
    changed = np.rint(length * (1 + LENGTH_SPREAD * rng.standard_normal(len(length))))
    changed = np.where(length > MOST, length, changed.clip(1, MOST)) * (length > 0)
    times = flows.inter_arrival_time
    if times is not None:
        times = (times * np.exp(TIME_SPREAD * rng.standard_normal(len(times)))).astype(np.float32)
    return replace(flows, payload_length=changed.astype(np.int32), inter_arrival_time=times)


def _masked(flows: FlowArrays, rng: np.random.Generator) -> FlowArrays:
    kept = (flows.position == 0) | (rng.random(len(flows.position)) >= LOST)
    packets = np.bincount(flows.flow_index[kept], minlength=len(flows))
    times = flows.inter_arrival_time
    if times is not None:  # time since the flow's start, differenced again over the packets that are left
        since = np.cumsum(times, dtype=np.float64)
        since -= np.repeat(since[flows.offsets[:-1]] - times[flows.offsets[:-1]], flows.num_packets)
        left, first = since[kept], flows.position[kept] == 0
        times = np.where(first, left, np.diff(left, prepend=0)).astype(np.float32)
    return replace(
        flows,
        offsets=np.concatenate([[0], np.cumsum(packets)]),
        payload_length=flows.payload_length[kept],
        direction=flows.direction[kept],
        inter_arrival_time=times,
        tcp_window=None if flows.tcp_window is None else flows.tcp_window[kept],
    )
