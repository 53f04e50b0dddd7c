"""Rows of text tables: CSV with any usual separator, JSON lines, and JSON arrays of objects."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from hf_ntg.flows.byte_stream import STREAM_ERRORS, BrokenFileError, OnRead
from hf_ntg.flows.table_in.json_stream import json_items
from hf_ntg.flows.unpacking import first_bytes, open_unpacked

__all__ = ["BAD_ROW", "Record", "head_of", "header_of", "records"]

Record = dict[str, object]
BAD_ROW = "a row with more or fewer fields than the header"
_BAD_TEXT = "a row with text that is not UTF-8"
_BAD_CSV = "a row that is not CSV"
_BAD_JSON = "a line that is not a JSON object"
_TOO_LONG = "a line of more than 64 million characters"
_MAX_LINE = 64 << 20
_SEPARATORS = ",;\t|"
_HEAD = 1 << 18
_FIRST_ROWS = 100


def head_of(path: Path) -> str:
    """The first characters of a text file, unpacked; empty for a binary one.

    Raises:
        InputError: it cannot be opened or unpacked.
    """
    with open_unpacked(path) as file:
        start = first_bytes(file, path, _HEAD)
    if b"\0" in start and not start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return ""
    return start.decode(_encoding(start), errors="replace")


def header_of(path: Path) -> list[str]:
    """The names of the columns of a text table: of its header, or the keys of its first object; empty if unknown."""
    head = head_of(path).lstrip("\ufeff \t\r\n")
    if head.startswith(("{", "[")):
        try:
            first = [row for row in islice(records(path), _FIRST_ROWS) if isinstance(row, dict)]
        except BrokenFileError:
            return []
        return list(dict.fromkeys(str(name) for row in first for name in row))
    lines = [line for line in head.splitlines() if line]
    zeek = next((line for line in lines if line.startswith("#fields")), None)
    if zeek is not None:
        return zeek.split("\t")[1:]
    names = _split(lines[0]) if lines else []
    return names[0].split() if len(names) == 1 and names[0].startswith("#") else names


def records(path: Path, on_read: OnRead | None = None) -> Iterator[Record | str]:
    """The rows of a text table as mappings from column names to cells, or the reason why a row is skipped.

    A damaged row does not end the reading. The separator of CSV is the one that splits the header into the most names.

    Raises:
        BrokenFileError: the packing is damaged, or a JSON array is.
    """
    head = head_of(path).lstrip("\ufeff \t\r\n")
    with open_unpacked(path, on_read) as file:
        if head.startswith("["):
            yield from _array(file, path)
            return
        encoding = _encoding(first_bytes(file, path, 4))
        text = io.TextIOWrapper(file, encoding=encoding, errors="surrogateescape", newline="")
        lines = _Lines(text, path)
        yield from _json_lines(lines) if head.startswith("{") else _csv(lines)


class _Lines:
    """The lines of a text file, each of a bounded length.

    Attributes:
        number: of the last line. too_long: was that line cut off?
    """

    def __init__(self, text: io.TextIOWrapper, path: Path) -> None:
        self._text, self._path = text, path
        self.number = 0
        self.too_long = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        try:
            line = self._text.readline(_MAX_LINE)
            self.too_long = len(line) == _MAX_LINE and not line.endswith("\n")
            rest = line
            while len(rest) == _MAX_LINE and not rest.endswith("\n"):
                rest = self._text.readline(_MAX_LINE)
        except STREAM_ERRORS as error:
            raise BrokenFileError(f"{self._path}: line {self.number + 1}: damaged or cut off ({error})") from error
        if not line:
            raise StopIteration
        self.number += 1
        return "\n" if self.too_long else line


def _csv(lines: _Lines) -> Iterator[Record | str]:
    """Yield the rows of a CSV file as mappings, or the reason why a row is skipped."""
    csv.field_size_limit(max(csv.field_size_limit(), _MAX_LINE))  # of the process; its default is 131,072
    first = next((line for line in lines if line.strip()), "")
    if not first:
        return
    header = _split(first)
    rows = csv.reader(lines, delimiter=_separator(first))
    while True:
        try:
            row = next(rows, None)
        except csv.Error:
            yield _BAD_CSV
            continue
        if row is None:
            return
        if lines.too_long:
            yield _TOO_LONG
        elif row and len(row) != len(header):
            yield BAD_ROW
        elif row:
            yield dict(zip(header, row, strict=True)) if _is_text("".join(row)) else _BAD_TEXT


def _json_lines(lines: _Lines) -> Iterator[Record | str]:
    for line in lines:
        if lines.too_long:
            yield _TOO_LONG
        elif line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            yield row if isinstance(row, dict) and _is_text(line) else _BAD_JSON


def _array(file: BinaryIO, path: Path) -> Iterator[Record | str]:
    for row in json_items(file, str(path)):
        yield row if isinstance(row, dict) else _BAD_JSON


def _separator(header: str) -> str:
    return max(_SEPARATORS, key=lambda one: len(next(csv.reader([header], delimiter=one), [])))


def _split(header: str) -> list[str]:
    """The names in a header line, without blanks around them."""
    try:
        return [name.strip() for name in next(csv.reader([header.lstrip("\ufeff")], delimiter=_separator(header)), [])]
    except csv.Error:
        return []


def _encoding(start: bytes) -> str:
    return "utf-16" if start.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"


def _is_text(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)
