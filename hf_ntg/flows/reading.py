"""What all readers of flows have in common: batches of flows, files that are opened, and files that break off."""

from __future__ import annotations

import csv
import gzip
import io
import ipaddress
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays

__all__ = [
    "STREAM_ERRORS",
    "BrokenFileError",
    "FlowBatch",
    "FlowReader",
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


class _GzipStream(gzip.GzipFile):
    """Gives all that could be unpacked before it raises for damage, which `GzipFile` keeps to itself."""

    _damage: Exception | None = None

    def read(self, size: int | None = -1) -> bytes:
        if self._damage is not None:
            raise self._damage
        pieces, left = [], sys.maxsize if size is None or size < 0 else size
        while left:
            try:
                piece = self.read1(min(left, _BUFFER))
            except STREAM_ERRORS as error:
                if not pieces:
                    raise
                self._damage = error.with_traceback(None)
                break
            if not piece:
                break
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._damage = None
        return super().seek(offset, whence)


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
    return _GzipStream(fileobj=told) if start == _GZIP_MAGIC else told


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
