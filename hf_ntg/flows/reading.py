"""What all readers of flows have in common: batches of flows, rows checked one by one, and files that break off."""

from __future__ import annotations

import csv
import gzip
import io
import ipaddress
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.schema import MAX_PAYLOAD

__all__ = [
    "STREAM_ERRORS",
    "BrokenFileError",
    "FlowBatch",
    "FlowReader",
    "FlowRows",
    "Tell",
    "csv_rows",
    "first_bytes",
    "no_columns",
    "open_unpacked",
    "packed_address",
]

Tell = Callable[[int], None]  # told how many bytes were read since the last call
STREAM_ERRORS = (EOFError, gzip.BadGzipFile, zlib.error)
_GZIP_MAGIC = b"\x1f\x8b"
_BUFFER = 1 << 20
_MOST_PACKETS = 2**31 - 1


class BrokenFileError(InputError):
    """A file that breaks off or is damaged at some place; what lay before it has been read."""


@dataclass(frozen=True)
class FlowBatch:
    """Some flows of a source, and what is known of them beyond the schema.

    Attributes:
        flows: the flows. source, destination: packed addresses (4 or 16 bytes, empty where unknown) of initiator and
            other side. start: seconds since 1970 of the first packet. sni: server name the client asked for, or None.
    """

    flows: FlowArrays
    source: list[bytes] | None = None
    destination: list[bytes] | None = None
    start: np.ndarray | None = None
    sni: list[str | None] | None = None

    def __len__(self) -> int:
        return len(self.flows)


class FlowReader(Protocol):
    """Streams the flows of one file: iterate for batches, then read what became of the rest.

    Attributes:
        skipped: what was left out, counted by reason. noticed: what else is worth saying, counted.
        broken: the damage at which reading ended before the end of the file, or None.
    """

    skipped: Counter[str]
    noticed: Counter[str]
    broken: BrokenFileError | None

    def __iter__(self) -> Iterator[FlowBatch]: ...


class _ToldFile(io.RawIOBase):
    """A file that tells of every byte that is read from it."""

    def __init__(self, file: BinaryIO, tell: Tell) -> None:
        self._file, self._told = file, tell

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def readinto(self, buffer) -> int:
        count = self._file.readinto(buffer)
        self._told(count)
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def open_unpacked(path: Path, tell: Tell | None = None) -> BinaryIO:
    """Open `path` for reading, unpacked where it begins like gzip; `tell` hears of the bytes read from the disk.

    Raises:
        InputError: it cannot be opened.
    """
    try:
        file = path.open("rb")
        start = file.read(2)
        file.seek(0)
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror})") from error
    told = file if tell is None else io.BufferedReader(_ToldFile(file, tell), _BUFFER)
    return gzip.GzipFile(fileobj=told) if start == _GZIP_MAGIC else told


def first_bytes(file: BinaryIO, path: Path, size: int = 4) -> bytes:
    """The first `size` bytes of `file`, which is back at its start then.

    Raises:
        BrokenFileError: they cannot be unpacked.
    """
    try:
        start = file.read(size)
    except STREAM_ERRORS as error:
        raise BrokenFileError(f"{path}: the gzip stream is damaged or cut off ({error})") from error
    file.seek(0)
    return start


def csv_rows(file: BinaryIO, path: Path, check_header: Callable[[list[str]], None]) -> Iterator[dict[str, str] | None]:
    """The rows of a CSV file by column name, None for one with more or fewer fields than the header has names.

    Args:
        check_header: called with the names; it raises where they will not do.

    Raises:
        BrokenFileError: the file breaks off inside its packing, or is not CSV text in UTF-8.
    """
    rows = csv.reader(io.TextIOWrapper(file, encoding="utf-8-sig", newline=""))
    try:
        header = next(rows, [])
        check_header(header)
        for row in rows:
            if row:
                yield dict(zip(header, row, strict=True)) if len(row) == len(header) else None
    except (csv.Error, UnicodeDecodeError, *STREAM_ERRORS) as error:
        raise BrokenFileError(f"{path}: line {rows.line_num + 1}: damaged, cut off or not CSV ({error})") from error


def no_columns(path: Path, missing: list[str], found: list[str], remedy: str) -> InputError:
    """The error for a table at `path` without the columns `missing`."""
    there = ", ".join(map(repr, found[:40])) or "none"
    return InputError(f"{path}: no column {', '.join(map(repr, missing))} (found: {there}); {remedy}")


def packed_address(text: object) -> bytes:
    """The bytes of an IP address (4 or 16), none where `text` is not one."""
    try:
        return ipaddress.ip_address(text).packed if isinstance(text, str) else b""
    except ValueError:
        return b""


class FlowRows:
    """Flows that come one at a time as lists: each is checked, and counted by reason where it will not do.

    Args:
        max_packets: packets to keep of each flow. has_times, has_windows: do the flows of this source tell these?

    Attributes:
        skipped, noticed: see :class:`FlowReader`.
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
