"""Classes that the readers of pcap and pcapng files share: a block of packets, and the file window in memory.

A capture is read in blocks of some megabytes. A block says where each packet's bytes are in its buffer. Python
code never decodes packets one by one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from hf_ntg.flows.byte_stream import STREAM_ERRORS, BrokenFileError

__all__ = ["MAX_CAPTURED", "UNKNOWN_TIME", "PacketBlock", "Window", "numbers_at", "padded"]

MAX_CAPTURED = 262_144  # libpcap's MAXIMUM_SNAPLEN; a record that claims more is damaged
UNKNOWN_TIME = -1
"""Time of a packet whose time stamp cannot be right."""
_CHUNK = 4 << 20
_PADDING = 64  # zeros after the data, so that a header gathered at the very end stays inside the buffer


@dataclass(frozen=True)
class PacketBlock:
    """n packets of a capture, in the order of the file.

    Attributes:
        data: uint8 buffer that holds them, with zeros after the last.
        start: (n,) int64 where each packet's bytes begin in `data`. captured: (n,) int64 number of bytes kept.
        wire: (n,) int64 length of each on the wire. time: (n,) int64 nanoseconds since 1970, or UNKNOWN_TIME.
        link: (n,) int64 link types (https://www.tcpdump.org/linktypes.html).
        first: number of the first packet in the capture, from 0.
        comments: comments that this package's capture writer left, by number of the packet.
    """

    data: np.ndarray
    start: np.ndarray
    captured: np.ndarray
    wire: np.ndarray
    time: np.ndarray
    link: np.ndarray
    first: int
    comments: dict[int, bytes] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.start)


def numbers_at(data: np.ndarray, places: np.ndarray, kind: str) -> np.ndarray:
    """Return the numbers of NumPy type `kind` (``">u2"``, ``"<u4"``, …) at byte `places` of `data`, as int64."""
    size = np.dtype(kind).itemsize
    overlapping = np.ndarray((len(data) - size + 1,), kind, data, strides=(1,))
    return overlapping[places].astype(np.int64)


def padded(data: bytes) -> np.ndarray:
    """Return `data` as a uint8 array with zeros after it."""
    return np.frombuffer(data + bytes(_PADDING), dtype=np.uint8)


@dataclass
class Window:
    """The part of a capture file that is in memory. It slides forward, and grows if a record needs more room.

    Attributes:
        offset: place of ``data[0]`` in the (unpacked) file. packets: records returned so far.
        noticed: remarks about the file's records, counted in packets.
    """

    file: BinaryIO
    path: Path
    data: bytes = b""
    offset: int = 0
    ended: bool = False
    packets: int = 0
    noticed: Counter[str] = field(default_factory=Counter)

    def slide(self, used: int) -> None:
        """Drop the first `used` bytes and read more."""
        try:
            fresh = self.file.read(_CHUNK)
        except STREAM_ERRORS as error:
            raise self.broken(len(self.data), f"damaged or cut off ({error})") from error
        self.offset += used
        self.data = self.data[used:] + fresh
        self.ended = not fresh

    def padded(self) -> np.ndarray:
        """Return the bytes in memory as an array with zeros after them."""
        return padded(self.data)

    def broken(self, place: int, problem: str) -> BrokenFileError:
        """Return the error for damage at byte `place` of the window."""
        return BrokenFileError(
            f"{self.path}: byte {self.offset + place}: {problem}, after {self.packets} whole packets"
        )
