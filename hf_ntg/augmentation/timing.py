"""Transformations of times and sizes that leave the order of packets as it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hf_ntg.augmentation.edits import arrival_times, draw_below, rebuild
from hf_ntg.constants import MAX_SEGMENT
from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays

__all__ = ["change_rtt", "jitter", "time_shift"]


def change_rtt(
    flows: FlowArrays, rng: np.random.Generator, max_packets: int, *, low: float = 0.5, high: float = 1.5
) -> FlowArrays:
    """Multiply all gaps of a flow by one factor, drawn evenly from `low` to `high`, as on a shorter or longer path.

    Raises:
        InputError: the flows have no times.

    Source: "change RTT" of Horowicz, Shapira, Shavitt, IMC 2022, with their range of factors.
    """
    _need_times(flows, "change-rtt")
    factor = rng.uniform(low, high, len(flows))
    return _at(flows, arrival_times(flows) * factor[flows.flow_index], max_packets)


def time_shift(flows: FlowArrays, rng: np.random.Generator, max_packets: int, *, most: float = 1.0) -> FlowArrays:
    """Delay all packets from a random position on by up to `most` seconds.

    Source: "time shift" of Horowicz, Shapira, Shavitt, IMC 2022, which moves a whole flow inside a fixed window. The
    flows here start at time 0, so a move of the whole flow is not visible; a pause inside it is.

    Raises:
        InputError: the flows have no times.
    """
    _need_times(flows, "time-shift")
    first = 1 + draw_below(flows.num_packets - 1, rng)
    delay = rng.uniform(0, most, len(flows))
    late = flows.position >= first[flows.flow_index]
    return _at(flows, arrival_times(flows) + late * delay[flows.flow_index], max_packets)


def jitter(
    flows: FlowArrays,
    rng: np.random.Generator,
    max_packets: int,
    *,
    length_spread: float = 0.05,
    time_spread: float = 0.2,
) -> FlowArrays:
    """Scale every payload length by a normal factor and every gap by a log-normal one, each packet on its own.

    Empty payloads stay empty, other ones stay between 1 and 1,460 bytes; a longer payload keeps its length.

    Args:
        length_spread, time_spread: standard deviations of the factor and of the logarithm of the factor.

    Source: "jittering" and "scaling" of Um et al., Data augmentation of wearable sensor data, ICMI 2017.
    """
    length = flows.payload_length
    changed = np.rint(length * (1 + length_spread * rng.standard_normal(len(length))))
    changed = np.where(length > MAX_SEGMENT, length, changed.clip(1, MAX_SEGMENT)) * (length > 0)
    gaps = flows.inter_arrival_time
    if gaps is not None:
        gaps = (gaps * np.exp(time_spread * rng.standard_normal(len(gaps)))).astype(np.float32)
    flows = replace(flows, payload_length=changed.astype(np.int32), inter_arrival_time=gaps)
    return _at(flows, arrival_times(flows), max_packets)


def _need_times(flows: FlowArrays, name: str) -> None:
    if flows.inter_arrival_time is None:
        raise InputError(f"'{name}' changes nothing but times; these flows have no column 'inter_arrival_time'")


def _at(flows: FlowArrays, arrivals: np.ndarray, max_packets: int) -> FlowArrays:
    """The same packets at other times."""
    return rebuild(flows, flows.flow_index, np.arange(len(arrivals)), arrivals, max_packets)
