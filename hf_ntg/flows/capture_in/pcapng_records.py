"""Reads pcapng files (draft-ietf-opsawg-pcapng): sections, interfaces, and three kinds of packet block."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from hf_ntg.flows.capture_in.packet_block import UNKNOWN_TIME, PacketBlock, Window, numbers_at
from hf_ntg.flows.capture_out.capture_record import COMMENT_PREFIX

__all__ = ["PCAPNG_MAGIC", "pcapng_blocks"]

PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"
_SECTION, _INTERFACE, _OLD_PACKET, _SIMPLE, _ENHANCED = 0x0A0D0D0A, 1, 2, 3, 6
_BYTE_ORDERS = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}
_SMALLEST = {_SECTION: 28, _INTERFACE: 20, _OLD_PACKET: 32, _SIMPLE: 16, _ENHANCED: 32}
_LARGEST = 16 << 20
_OPT_COMMENT, _IF_TSRESOL, _IF_TSOFFSET = 1, 9, 14
_COMMENT_START = np.int64(int.from_bytes(COMMENT_PREFIX[:8]))
_NANOSECONDS = 1_000_000_000
_LAST_SECOND = 2**32 - 1  # in 2106, the last second that pcap can write; later time stamps are damaged
_MICROSECONDS = 1_000_000
_AS_NANOSECONDS = "packets whose time stamps are nanoseconds, though their interface's clock says microseconds"


class _Interface(NamedTuple):
    link: int
    snap_length: int
    ticks_per_second: int
    offset: int  # seconds


_NO_INTERFACE = _Interface(-1, 0, _MICROSECONDS, 0)  # for packets whose interface was never described


def pcapng_blocks(window: Window) -> Iterator[PacketBlock]:
    """Yield the packets of a pcapng file whose first bytes are in `window`.

    Simple packet blocks carry no time. They get the time of the packet before them (0 at the start of the file). Times
    after the year 2106 count as unknown, unless the interface's clock counts nanoseconds but claims microseconds.
    """
    walker, used = _Walker(), 0
    while True:
        used, problem = walker.walk(window.data, used)
        if walker.places:
            block = walker.block(window)
            window.packets += len(block)
            yield block
        if problem:
            raise window.broken(used, problem)
        if walker.section_waits:
            continue
        if window.ended:
            if used < len(window.data):
                left = len(window.data) - used
                raise window.broken(used, f"the file breaks off inside a block ({left} bytes of it are there)")
            return
        window.slide(used)
        used = 0


class _Walker:
    """Walks from block to block, keeps the section's interfaces, and collects the places where packets begin."""

    def __init__(self) -> None:
        self.order = "<"
        self.interfaces: list[_Interface] = []
        self.places: list[int] = []  # places of the packet blocks not yet returned
        self.kinds: list[int] = []
        self.owners: list[int] = []  # index of the interface of each packet block
        self.section_waits = False  # a new section begins; the packets of the old one must be returned first
        self.last_time = 0

    def walk(self, data: bytes, place: int) -> tuple[int, str | None]:
        """Walk from `place` over whole blocks; return where they end, and the error there or None."""
        self.section_waits = False
        pair = struct.Struct(self.order + "II").unpack_from
        end = len(data)
        while place + 12 <= end:
            if data[place : place + 4] == PCAPNG_MAGIC:
                if self.places:
                    self.section_waits = True
                    return place, None
                order = _BYTE_ORDERS.get(data[place + 8 : place + 12])
                if order is None:
                    return place, "a section header without the byte-order magic"
                self.order, self.interfaces = order, []
                pair = struct.Struct(order + "II").unpack_from
            kind, length = pair(data, place)
            if length < _SMALLEST.get(kind, 12) or length % 4 or length > _LARGEST:
                return place, f"a block of type {kind} claims {length} bytes"
            if place + length > end:
                break
            if data[place + 4 : place + 8] != data[place + length - 4 : place + length]:
                return place, "a block whose two lengths differ"
            if kind == _INTERFACE:
                self._describe(data, place, length)
                if self.interfaces[-1].ticks_per_second > 1 << 62:
                    return place, "an interface with a clock finer than 64 bits can hold"
            elif kind in (_ENHANCED, _SIMPLE, _OLD_PACKET):
                self.places.append(place)
                self.kinds.append(kind)
                self.owners.append(self._owner(data, place, kind))
            place += length
        return place, None

    def _owner(self, data: bytes, place: int, kind: int) -> int:
        if kind == _ENHANCED:
            return struct.unpack_from(self.order + "I", data, place + 8)[0]
        return 0 if kind == _SIMPLE else struct.unpack_from(self.order + "H", data, place + 8)[0]

    def _describe(self, data: bytes, place: int, length: int) -> None:
        """Add the interface of the description block at `place`, which is `length` bytes long."""
        link, _, snap_length = struct.unpack_from(self.order + "HHI", data, place + 8)
        ticks_per_second, offset = _MICROSECONDS, 0
        option, end = place + 16, place + length - 4
        while option + 4 <= end:
            code, size = struct.unpack_from(self.order + "HH", data, option)
            value = data[option + 4 : min(option + 4 + size, end)]
            if code == _IF_TSRESOL and len(value) == 1:
                exponent = value[0] & 0x7F
                ticks_per_second = 2**exponent if value[0] & 0x80 else 10**exponent
            elif code == _IF_TSOFFSET and len(value) == 8:
                offset = struct.unpack(self.order + "q", value)[0]
            elif code == 0:
                break
            option += 4 + (size + 3) // 4 * 4
        self.interfaces.append(_Interface(link, snap_length, ticks_per_second, offset))

    def block(self, window: Window) -> PacketBlock:
        """Return the packets collected so far."""
        data, places, kinds = window.padded(), np.array(self.places), np.array(self.kinds)
        owners = np.array(self.owners)
        known = [*self.interfaces, _NO_INTERFACE]
        owners = np.where(owners < len(self.interfaces), owners, len(self.interfaces))
        u4 = self.order + "u4"
        room = numbers_at(data, places + 4, u4)  # bytes in the block available for the packet
        simple = kinds == _SIMPLE
        room -= np.where(simple, 16, 32)
        wire = numbers_at(data, np.where(simple, places + 8, places + 24), u4)
        snap_length = np.array([interface.snap_length or 0xFFFFFFFF for interface in known])[owners]
        captured = np.where(simple, np.minimum(wire, snap_length), numbers_at(data, places + 20, u4))
        time = self._times(data, places, simple, owners, known, window.noticed)
        link = np.array([interface.link for interface in known])[owners]
        start = places + np.where(simple, 12, 28)
        captured = np.minimum(captured, room)
        comments = self._comments(data, start + -(-captured // 4) * 4, np.where(kinds == _ENHANCED, start + room, 0))
        comments = {window.packets + row: comment for row, comment in comments.items()}
        self.places, self.kinds, self.owners = [], [], []
        return PacketBlock(data, start, captured, wire, time, link, window.packets, comments)

    def _comments(self, data: np.ndarray, at: np.ndarray, end: np.ndarray) -> dict[int, bytes]:
        """Return the comments of this package's writer, by row, if they are the first option from `at` to `end`."""
        found: dict[int, bytes] = {}
        rows = np.flatnonzero(at + 4 + _COMMENT_START.itemsize <= end)
        if len(rows):
            is_own = numbers_at(data, at[rows], self.order + "u2") == _OPT_COMMENT
            is_own &= numbers_at(data, at[rows] + 4, ">u8") == _COMMENT_START
            rows = rows[is_own]
        for row in rows.tolist():
            begin = int(at[row]) + 4
            size = struct.unpack(self.order + "H", data[begin - 2 : begin].tobytes())[0]
            found[row] = data[begin : min(begin + size, int(end[row]))].tobytes()
        return found

    def _times(
        self,
        data: np.ndarray,
        places: np.ndarray,
        simple: np.ndarray,
        owners: np.ndarray,
        known: list[_Interface],
        noticed: Counter[str],
    ) -> np.ndarray:
        """Return the time of every packet by the clock of its interface: (n,) int64, nanoseconds since 1970."""
        high, low = (numbers_at(data, places + at, self.order + "u4").astype(np.uint64) for at in (12, 16))
        ticks = (high << np.uint64(32)) | low
        time = np.zeros(len(places), np.int64)
        for owner in np.unique(owners):
            rows = (owners == owner) & ~simple
            time[rows] = _interface_times(ticks[rows], known[owner], noticed)
        timed = np.where(simple, -1, np.arange(len(places)))
        source = np.maximum.accumulate(timed)
        time = np.where(source < 0, self.last_time, time[source])
        self.last_time = int(time[-1])
        return time


def _interface_times(ticks: np.ndarray, interface: _Interface, noticed: Counter[str]) -> np.ndarray:
    """Convert `ticks`, (n,) uint64, of one interface to ns since 1970; impossible times become UNKNOWN_TIME."""
    rate = interface.ticks_per_second
    seconds = ticks // np.uint64(rate)
    is_beyond = 2 * int((seconds > _LAST_SECOND).sum()) > len(ticks)
    if is_beyond and rate == _MICROSECONDS and (ticks // np.uint64(_NANOSECONDS) <= _LAST_SECOND).all():
        rate = _NANOSECONDS
        seconds = ticks // np.uint64(rate)
        noticed[_AS_NANOSECONDS] += len(ticks)
    rest = ticks % np.uint64(rate)
    if rate <= _NANOSECONDS:
        fraction = (rest * np.uint64(_NANOSECONDS) // np.uint64(rate)).astype(np.int64)
    else:
        fraction = (rest / rate * _NANOSECONDS).astype(np.int64)
    offset = max(-_LAST_SECOND, min(_LAST_SECOND, interface.offset))
    whole = np.minimum(seconds, np.uint64(2 * _LAST_SECOND)).astype(np.int64) + offset
    return np.where((whole >= 0) & (whole <= _LAST_SECOND), whole * _NANOSECONDS + fraction, UNKNOWN_TIME)
