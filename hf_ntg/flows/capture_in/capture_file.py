"""Reads capture files: chooses between pcap and pcapng, and holds what both formats share.

A capture is read in blocks of some megabytes. A block says where each packet's bytes are in its buffer. Nothing is
decoded packet by packet in Python.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from hf_ntg.errors import InputError
from hf_ntg.flows.reading import STREAM_ERRORS, BrokenFileError, Tell, first_bytes, open_unpacked

__all__ = [
    "MAX_CAPTURED",
    "PCAPNG_MAGIC",
    "PCAP_MAGICS",
    "UNKNOWN_TIME",
    "PacketBlock",
    "Window",
    "is_capture",
    "numbers_at",
    "padded",
    "read_packets",
]

MAX_CAPTURED = 262_144  # libpcap's MAXIMUM_SNAPLEN; a record that claims more is damage, not a packet
PCAP_MAGICS = {
    b"\xa1\xb2\xc3\xd4": (">", 1_000, 16),
    b"\xd4\xc3\xb2\xa1": ("<", 1_000, 16),
    b"\xa1\xb2\x3c\x4d": (">", 1, 16),
    b"\x4d\x3c\xb2\xa1": ("<", 1, 16),
    b"\xa1\xb2\xcd\x34": (">", 1_000, 24),  # A. Kuznetzov's patched libpcap: interface, protocol and packet type
    b"\x34\xcd\xb2\xa1": ("<", 1_000, 24),
}
"""First bytes of pcap files: to byte order, nanoseconds in a unit of the fractions, bytes of a record's header."""
PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"
UNKNOWN_TIME = -1
"""Time of a packet whose time stamp cannot be right."""
_CHUNK = 4 << 20
_PADDING = 64  # zeros after the data, so that a header gathered at the very end stays inside the buffer


@dataclass(frozen=True)
class PacketBlock:
    """n packets of a capture, in the order of the file.

    Attributes:
        data: uint8 buffer that holds them, with zeros after the last.
        start: (n,) int64 where each packet's bytes begin in `data`. captured: (n,) int64 how many were kept.
        wire: (n,) int64 how long each was on the wire. time: (n,) int64 nanoseconds since 1970, or UNKNOWN_TIME.
        link: (n,) int64 link types (https://www.tcpdump.org/linktypes.html). first: number of the first, from 0.
        comments: comments that our capture writer left, by number of the packet.
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
    """The numbers of NumPy type `kind` (``">u2"``, ``"<u4"``, …) that begin at byte `places` of `data`, as int64."""
    size = np.dtype(kind).itemsize
    overlapping = np.ndarray((len(data) - size + 1,), kind, data, strides=(1,))
    return overlapping[places].astype(np.int64)


def padded(data: bytes) -> np.ndarray:
    """`data` as a uint8 array with zeros after it."""
    return np.frombuffer(data + bytes(_PADDING), dtype=np.uint8)


@dataclass
class Window:
    """The part of a capture file that is in memory: it slides on, and grows if a record needs it.

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
            raise self.broken(len(self.data), f"the gzip stream is damaged or cut off ({error})") from error
        self.offset += used
        self.data = self.data[used:] + fresh
        self.ended = not fresh

    def padded(self) -> np.ndarray:
        """The bytes in memory as an array, zeros after them."""
        return padded(self.data)

    def broken(self, place: int, problem: str) -> BrokenFileError:
        """The error for damage at byte `place` of the window."""
        return BrokenFileError(
            f"{self.path}: byte {self.offset + place}: {problem}, after {self.packets} whole packets"
        )


def read_packets(
    path: str | Path, tell: Tell | None = None, noticed: Counter[str] | None = None
) -> Iterator[PacketBlock]:
    """Yield the packets of a pcap or pcapng file, plain or packed, block by block; memory does not grow with the file.

    The first bytes decide the format, not the name.

    Args:
        path: the capture.
        tell: called with the number of bytes read from the disk since the last call.
        noticed: remarks about the file's records are counted here.

    Raises:
        BrokenFileError: the file breaks off inside a record or is damaged; the packets before it were yielded.
        InputError: the file cannot be opened, is empty, or is no capture.
    """
    from hf_ntg.flows.capture_in.pcap_records import pcap_blocks
    from hf_ntg.flows.capture_in.pcapng_records import pcapng_blocks

    path = Path(path)
    with open_unpacked(path, tell) as file:
        window = Window(file, path, noticed=Counter() if noticed is None else noticed)
        window.slide(0)
        magic = window.data[:4]
        if magic in PCAP_MAGICS:
            yield from pcap_blocks(window)
        elif magic == PCAPNG_MAGIC:
            yield from pcapng_blocks(window)
        elif not magic:
            raise InputError(f"{path}: an empty file, not a capture")
        else:
            raise InputError(f"{path}: neither pcap nor pcapng (it begins with {magic.hex(' ')})")


def is_capture(path: Path) -> bool:
    """Whether the file at `path`, plain or packed, begins like a pcap or pcapng file, whatever its name."""
    try:
        with open_unpacked(path) as file:
            magic = first_bytes(file, path)
    except InputError:
        return False
    return magic in PCAP_MAGICS or magic == PCAPNG_MAGIC
