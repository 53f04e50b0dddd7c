"""Rows of text tables: CSV with any usual separator, JSON lines, and JSON arrays of objects."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO

from hf_ntg.flows.byte_stream import STREAM_ERRORS, BrokenFileError, OnRead
from hf_ntg.flows.table_in.json_stream import json_items
from hf_ntg.flows.table_in.totals import totals_of
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
_EXCEL = re.compile(f"sep=[{_SEPARATORS}]", re.IGNORECASE)
_HEAD = 1 << 18
_FIRST_ROWS = 100


def head_of(path: Path) -> str:
    """The first characters of a text file, unpacked; empty for a binary one.

    Raises:
        InputError: it cannot be opened or unpacked.
    """
    with open_unpacked(path) as file:
        start = first_bytes(file, path, _HEAD)
    encoding = _encoding(start)
    if b"\0" in start and not encoding.startswith("utf-16"):
        return ""
    return start.decode(encoding, errors="replace")


def header_of(path: Path) -> list[str]:
    """The names of the columns of a text table: of its header, or the keys of its first object; empty if unknown."""
    head = head_of(path).lstrip("\ufeff \t\r\n")
    if head.startswith(("{", "[")):
        try:
            first = [row for row in islice(records(path), _FIRST_ROWS) if isinstance(row, dict)]
        except BrokenFileError:
            return []
        return list(dict.fromkeys(str(name) for row in first for name in row))
    lines = head.splitlines()
    zeek = next((line for line in lines if line.startswith("#fields")), None)
    if zeek is not None:
        return zeek.split("\t")[1:]
    marked = next((line.split() for line in lines if line.startswith("#")), [])
    if totals_of(marked) is not None:  # some tools separate names by blanks
        return marked
    header, separator, _ = _header(iter(lines))
    return _split(header, separator)


def records(path: Path, on_read: OnRead | None = None) -> Iterator[Record | str]:
    """The rows of a text table as mappings from column names to cells, or the reason why a row is skipped.

    A damaged row does not end the reading. The separator of CSV is the one that splits the header into the most names,
    or the one that Excel's line ``sep=;`` names. Lines that begin with ``#`` before the header are comments.

    Raises:
        BrokenFileError: the packing is damaged, or a JSON array is.
    """
    head = head_of(path).lstrip("\ufeff \t\r\n")
    with open_unpacked(path, on_read) as file:
        encoding = _encoding(first_bytes(file, path, 4))
        if head.startswith("["):
            yield from _array(file, path, encoding)
            return
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
    first, separator, read = _header(lines)
    header = _split(first, separator)
    if not header:
        return
    rows = csv.reader(chain(read, lines), delimiter=separator)
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


def _array(file: BinaryIO, path: Path, encoding: str) -> Iterator[Record | str]:
    for row in json_items(file, str(path), encoding):
        yield row if isinstance(row, dict) else _BAD_JSON


def _header(lines: Iterator[str]) -> tuple[str, str, list[str]]:
    """Find the header line of a CSV file, which may follow comments; return it, its separator, and the lines read
    after it.

    A line that begins with ``#`` is the header if it has as many fields as the first line after it without ``#``.
    """
    chosen = marked = ""
    for line in lines:
        text = line.strip("\ufeff\r\n ")
        if not text:
            continue
        if not chosen and not marked and _EXCEL.fullmatch(text):
            chosen = text[4:]
        elif text.startswith("#"):
            marked = line
        else:
            separator = chosen or _separator(line)
            if marked and len(_split(marked, separator)) == len(_split(line, separator)):
                return marked, separator, [line]
            return line, separator, []
    return marked, chosen or _separator(marked), []


def _separator(header: str) -> str:
    return max(_SEPARATORS, key=lambda one: len(next(csv.reader([header], delimiter=one), [])))


def _split(header: str, separator: str) -> list[str]:
    """The names in a header line, without blanks around them."""
    try:
        return [name.strip() for name in next(csv.reader([header.lstrip("\ufeff")], delimiter=separator), [])]
    except csv.Error:
        return []


def _encoding(start: bytes) -> str:
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if len(start) >= 4 and start[0] and start[2] and not start[1] and not start[3]:  # two letters of ASCII
        return "utf-16-le"
    if len(start) >= 4 and start[1] and start[3] and not start[0] and not start[2]:
        return "utf-16-be"
    return "utf-8-sig"


def _is_text(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)
