"""Capture files in: what pcap and pcapng have in common, and the choice between them.

A capture is read in blocks of some megabytes. Of every packet a block tells where its bytes lie in the block's buffer;
nothing is decoded packet by packet in Python.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from hf_ntg.errors import InputError
from hf_ntg.flows.reading import STREAM_ERRORS, BrokenFileError, Tell, open_unpacked

__all__ = ["MAX_CAPTURED", "PacketBlock", "Window", "numbers_at", "read_packets"]

MAX_CAPTURED = 262_144  # libpcap's MAXIMUM_SNAPLEN; a record that claims more is damage, not a packet
_CHUNK = 4 << 20
_PADDING = 64  # zeros after the data, so that a header gathered at the very end stays inside the buffer


@dataclass(frozen=True)
class PacketBlock:
    """n packets of a capture, in the order of the file.

    Attributes:
        data: uint8 buffer that holds them, with zeros after the last.
        start: (n,) int64 where each packet's bytes begin in `data`. captured: (n,) int64 how many were kept.
        wire: (n,) int64 how long each was on the wire. time: (n,) int64 nanoseconds since 1970.
        link: (n,) int64 link types (https://www.tcpdump.org/linktypes.html). first: number of the first, from 0.
    """

    data: np.ndarray
    start: np.ndarray
    captured: np.ndarray
    wire: np.ndarray
    time: np.ndarray
    link: np.ndarray
    first: int

    def __len__(self) -> int:
        return len(self.start)


def numbers_at(data: np.ndarray, places: np.ndarray, kind: str) -> np.ndarray:
    """The numbers of NumPy type `kind` (``">u2"``, ``"<u4"``, …) that begin at byte `places` of `data`, as int64."""
    size = np.dtype(kind).itemsize
    overlapping = np.ndarray((len(data) - size + 1,), kind, data, strides=(1,))
    return overlapping[places].astype(np.int64)


@dataclass
class Window:
    """The part of a capture file that is in memory: it slides on, and grows where a record needs it to."""

    file: BinaryIO
    path: Path
    data: bytes = b""
    offset: int = 0  # of data[0] in the (unpacked) file
    ended: bool = False
    packets: int = field(default=0)  # records handed out so far

    def slide(self, used: int) -> None:
        """Drop the first `used` bytes and read on."""
        try:
            fresh = self.file.read(_CHUNK)
        except STREAM_ERRORS as error:
            raise self.broken(len(self.data), f"the gzip stream is damaged or cut off ({error})") from error
        self.offset += used
        self.data = self.data[used:] + fresh
        self.ended = not fresh

    def padded(self) -> np.ndarray:
        """The bytes in memory as an array, zeros after them."""
        return np.frombuffer(self.data + bytes(_PADDING), dtype=np.uint8)

    def broken(self, place: int, problem: str) -> BrokenFileError:
        """The error for damage at byte `place` of the window."""
        return BrokenFileError(
            f"{self.path}: byte {self.offset + place}: {problem}, after {self.packets} whole packets"
        )


def read_packets(path: str | Path, tell: Tell | None = None) -> Iterator[PacketBlock]:
    """The packets of a pcap or pcapng file, plain or gzip, block by block; memory does not grow with the file.

    The format is told from the first bytes, not from the name.

    Args:
        path: the capture. tell: told the bytes read from the disk.

    Raises:
        BrokenFileError: the file breaks off inside a record or is damaged; the packets before have been given.
        InputError: the file cannot be opened, is empty, or is no capture.
    """
    from hf_ntg.flows.capture_in.pcap_records import PCAP_MAGICS, pcap_blocks
    from hf_ntg.flows.capture_in.pcapng_records import PCAPNG_MAGIC, pcapng_blocks

    path = Path(path)
    with open_unpacked(path, tell) as file:
        window = Window(file, path)
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
