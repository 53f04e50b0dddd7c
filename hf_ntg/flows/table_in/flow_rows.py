"""Flows that come one at a time as lists, checked and gathered into arrays."""

from __future__ import annotations

from collections import Counter

import numpy as np

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.reading import FlowBatch
from hf_ntg.flows.schema import MAX_PAYLOAD

__all__ = ["FlowRows"]

_MOST_PACKETS = 2**31 - 1


class FlowRows:
    """Flows that come one at a time as lists: each is checked, and counted by reason where it will not do.

    Args:
        max_packets: packets to keep of each flow. has_times, has_windows: do the flows of this source tell these?

    Attributes:
        skipped, noticed: see :class:`hf_ntg.flows.reading.FlowReader`.
    """

    def __init__(self, max_packets: int | None = None, has_times: bool = True, has_windows: bool = False) -> None:
        if max_packets is not None and max_packets < 1:
            raise InputError(f"max_packets {max_packets}: keep at least 1 packet of a flow")
        self.max_packets = max_packets
        self.has_times = has_times
        self.has_windows = has_windows
        self.skipped: Counter[str] = Counter()
        self.noticed: Counter[str] = Counter()
        self._clear()

    def _clear(self) -> None:
        self._packets: list[tuple[np.ndarray, ...]] = []
        self._facts: list[dict] = []

    def __len__(self) -> int:
        return len(self._facts)

    def add(self, length, direction, seconds=None, window=None, **facts) -> None:
        """Take a flow: payload bytes, +1 or -1, inter-arrival seconds and TCP windows of its packets, and its facts.

        Args:
            **facts: other columns of the schema, and ``source``, ``destination`` (packed addresses).
        """
        given = length, direction, seconds if self.has_times else None, window if self.has_windows else None
        columns = [None if column is None else _numbers(column) for column in given]
        problem = _problem(columns, self.has_times, self.has_windows)
        if problem:
            self.skipped[problem] += 1
            return
        length, direction, seconds, window = (None if one is None else one[: self.max_packets] for one in columns)
        if seconds is not None and (seconds < 0).any():
            self.noticed["inter-arrival times below 0, taken as 0"] += int((seconds < 0).sum())
            seconds = np.maximum(seconds, 0)
        self._packets.append((length, direction, seconds, window))
        if _whole(facts.get("packet_count"), _MOST_PACKETS) < 0:
            facts["packet_count"] = len(columns[0])
        self._facts.append(facts)

    def take(self) -> FlowBatch:
        """Hand out the flows added so far."""
        length, direction, seconds, window = (
            None if column[0] is None else np.concatenate(column) for column in zip(*self._packets, strict=True)
        )
        offsets = np.concatenate([[0], np.cumsum([len(packets[0]) for packets in self._packets])])
        texts = {name: self._column(name) for name in ("flow_id", "label", "capture")}
        ranges = {"protocol": 255, "source_port": 65_535, "destination_port": 65_535, "packet_count": _MOST_PACKETS}
        numbers = {
            name: np.array([_whole(one.get(name), most) for one in self._facts], np.int32)
            for name, most in ranges.items()
        }
        flows = FlowArrays(
            offsets=offsets,
            payload_length=length.astype(np.int32),
            direction=direction.astype(np.int8),
            inter_arrival_time=None if seconds is None else seconds.astype(np.float32),
            tcp_window=None if window is None else window.astype(np.int32),
            **texts,
            **numbers,
        )
        ends = {name: [one.get(name) or b"" for one in self._facts] for name in ("source", "destination")}
        sni = self._column("sni").tolist()
        self._clear()
        return FlowBatch(flows, **ends, sni=sni)

    def _column(self, name: str) -> np.ndarray:
        column = np.empty(len(self._facts), object)
        column[:] = [one.get(name) for one in self._facts]
        return column


def _numbers(values) -> np.ndarray:
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return np.zeros((0, 0))


def _problem(columns: list[np.ndarray | None], has_times: bool, has_windows: bool) -> str | None:
    """What is wrong with a flow's packet lists, or None."""
    length, direction, seconds, window = columns
    if length is None or direction is None or (seconds is None and has_times) or (window is None and has_windows):
        return "a packet list is missing"
    given = [column for column in columns if column is not None]
    if any(column.ndim != 1 for column in given):
        return "a packet list that is no list of numbers"
    if not len(length):
        return "no packets"
    if any(len(column) != len(length) for column in given):
        return "packet lists of unequal length"
    if not _within(length, 0, MAX_PAYLOAD):
        return f"a payload length that is not 0 to {MAX_PAYLOAD}"
    if not (np.abs(direction) == 1).all():
        return "a direction that is neither of the two"
    if seconds is not None and not np.isfinite(seconds.astype(np.float32)).all():
        return "an inter-arrival time that is not finite"
    if window is not None and not _within(window, 0, 65_535):
        return "a TCP window that is not 0 to 65535"
    return None


def _within(values: np.ndarray, low: int, high: int) -> bool:
    return bool(((values >= low) & (values <= high) & (values == np.floor(values))).all())


def _whole(value, most: int) -> int:
    """`value` as a whole number from 0 to `most`, or -1 (null) where it is none."""
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        return -1
    return number if 0 <= number <= most else -1
