"""Sorts the packets of a capture by time, within a bounded window."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from hf_ntg.flows.capture_in.packets import Packets, joined_packets

__all__ = ["TimeOrder"]

_WINDOW_PACKETS = 1 << 17
_WINDOW_BYTES = 32 << 20
_MOVED = "packets that stood behind later ones in the file, put in order by their times"
_TOO_LATE = (
    "packets that stood too far behind later ones to be put in order: sort the capture first "
    "(reordercap IN OUT, or mergecap if it holds the packets of several taps)"
)


class TimeOrder:
    """Sorts packets by time. It holds up to 131,072 packets, or 32 MiB of the file, before it returns the earliest.

    Packets that are already in order are not copied.

    Args:
        noticed: packets that were moved, or came too late to be moved, are counted here.
    """

    def __init__(self, noticed: Counter[str]) -> None:
        self.noticed = noticed
        self._held: list[Packets] = []
        self._packets = 0
        self._bytes = 0
        self._is_mixed = False  # some packet in a part is earlier than one in the part before
        self._latest = -1  # latest of all times so far
        self._returned = -1  # latest time that was returned

    def add(self, packets: Packets) -> Iterator[Packets]:
        """Add the next packets of the file; yield the packets that are ready."""
        if not len(packets):
            return
        highest = np.maximum(np.maximum.accumulate(packets.time), self._latest)
        moved = packets.time < highest
        if moved.any():
            too_late = int((packets.time < self._returned).sum())
            self._count(_TOO_LATE, too_late)
            self._count(_MOVED, int(moved.sum()) - too_late)
            self._is_mixed |= bool(packets.time.min() < self._latest)
            packets = packets.take(np.argsort(packets.time, kind="stable"))
        self._latest = int(highest[-1])
        self._held.append(packets)
        self._packets += len(packets)
        self._bytes += len(packets.data)
        while len(self._held) > 1 and (self._packets > _WINDOW_PACKETS or self._bytes > _WINDOW_BYTES):
            yield self._earliest()

    def rest(self) -> Iterator[Packets]:
        """Yield what is still held."""
        if self._is_mixed:
            self._sort()
        yield from self._held
        self._held = []

    def _earliest(self) -> Packets:
        if self._is_mixed:
            self._sort()
            whole = self._held.pop()
            half = len(whole) // 2
            rest = whole.take(np.arange(half, len(whole))).compact()
            first = whole.take(np.arange(half))
            self._held, self._bytes = [rest], len(rest.data)
        else:
            first = self._held.pop(0)
            self._bytes -= len(first.data)
        self._packets -= len(first)
        self._returned = max(self._returned, int(first.time[-1]))
        return first

    def _sort(self) -> None:
        whole = joined_packets(self._held)
        self._held = [whole.take(np.argsort(whole.time, kind="stable"))]
        self._is_mixed = False

    def _count(self, what: str, number: int) -> None:
        if number:
            self.noticed[what] += number
