"""Sizes of a Parquet file's columns, counted from the headers of their pages before any library unpacks them.

The footer of a file can name smaller sizes than its pages have, and a page can hold millions of values in a few bytes.
A small reader of Thrift's compact protocol finds the true numbers, since pyarrow shows those of the footer only, and
aborts the process where the entries of columns are damaged.

Source: https://github.com/apache/parquet-format (parquet.thrift) and the compact protocol of Apache Thrift.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

__all__ = ["ColumnSize", "DamagedPagesError", "column_sizes"]

_MAX_FOOTER = 64 << 20
_HEADER, _MAX_HEADER = 1 << 12, 16 << 20  # bytes of a page header that are read first, and at most
_MAX_DEPTH = 16
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
# Fields of FileMetaData, SchemaElement, RowGroup, ColumnChunk, ColumnMetaData and PageHeader.
_SCHEMA, _ROW_GROUPS, _TYPE_LENGTH, _CHILDREN = 2, 4, 2, 5
_COLUMNS, _FILE_PATH, _META_DATA = 1, 1, 3
_TYPE, _NUM_VALUES, _COMPRESSED, _DATA_PAGE, _DICTIONARY_PAGE = 1, 5, 7, 9, 11
_PAGE_SIZE, _PACKED_SIZE, _DATA_V1, _DATA_V2 = 2, 3, 5, 8


_WIDTHS = {0: 1, 1: 4, 2: 8, 3: 8, 4: 4, 5: 8, 6: 24}
"""Bytes of a value in memory by its type's number. Equal texts are held once; each use of one takes these bytes."""


class DamagedPagesError(ValueError):
    """The footer or a page header of a Parquet file is damaged."""


@dataclass(frozen=True)
class ColumnSize:
    """The size of one column in one row group.

    Attributes:
        values: values in all its lists. width: bytes of a value in memory. unpacked: bytes of its pages.
    """

    values: int
    width: int
    unpacked: int

    @property
    def in_memory(self) -> int:
        """Bytes that the column takes in memory, with 4 a value for where its lists begin."""
        return self.unpacked + self.values * (self.width + 4)


def column_sizes(path: Path) -> list[list[ColumnSize]]:
    """The size of each column of each row group.

    Raises:
        DamagedPagesError: the footer or a page header cannot be read.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(0, size - 8))
        length = int.from_bytes(file.read(8)[:4], "little")
        if not 0 < length <= min(size - 12, _MAX_FOOTER):
            raise DamagedPagesError("its footer has no possible length")
        file.seek(size - 8 - length)
        footer = _Reader(file.read(length)).struct()
        leaves = [one for one in _part(footer, _SCHEMA, list)[1:] if not _part(one, _CHILDREN, int, 0)]
        lengths = [_part(leaf, _TYPE_LENGTH, int, 0) for leaf in leaves]
        found = []
        for group in _part(footer, _ROW_GROUPS, list):
            columns = _part(group, _COLUMNS, list)
            if len(columns) != len(lengths):
                raise DamagedPagesError("a row group without all columns")
            pairs = zip(columns, lengths, strict=True)
            found.append([_column_size(file, column, length, size) for column, length in pairs])
        return found


def _column_size(file: BinaryIO, column: Any, type_length: int, size: int) -> ColumnSize:
    """Walk over the pages of a column as far as a reader would.

    Args:
        type_length: bytes of a value of a type of fixed length. size: bytes of the file.
    """
    if not isinstance(column, dict) or _FILE_PATH in column:
        raise DamagedPagesError("a column in another file")
    facts = _part(column, _META_DATA, dict)
    wanted, packed, place = (_part(facts, field, int) for field in (_NUM_VALUES, _COMPRESSED, _DATA_PAGE))
    first = facts.get(_DICTIONARY_PAGE)
    if isinstance(first, int) and 0 < first < place:
        place = first
    end = place + packed
    if min(wanted, packed, place) < 0 or end > size:
        raise DamagedPagesError("a column outside the file")
    values = unpacked = 0
    while place < end and values < wanted:
        header, length = _page_header(file, place, end)
        page_size, packed_size = _part(header, _PAGE_SIZE, int), _part(header, _PACKED_SIZE, int)
        if min(page_size, packed_size) < 0:
            raise DamagedPagesError("a page of a negative size")
        for kind in (_DATA_V1, _DATA_V2):
            if kind in header:
                values += max(0, _part(_part(header, kind, dict), 1, int))
        unpacked += page_size
        place += length + packed_size
    width = _WIDTHS.get(_part(facts, _TYPE, int), max(type_length, 1))
    return ColumnSize(max(values, wanted), width, unpacked)


def _page_header(file: BinaryIO, place: int, end: int) -> tuple[dict[int, Any], int]:
    """The header of the page at `place`, and its length."""
    length = _HEADER
    while True:
        file.seek(place)
        reader = _Reader(file.read(min(length, end - place)))
        try:
            return reader.struct(), reader.place
        except _CutOffError:
            if length >= min(_MAX_HEADER, end - place):
                raise
        length *= 16


def _part(found: Any, field: int, kind: type, default: Any = None) -> Any:
    """Field `field` of a structure, which must be a `kind`."""
    value = found.get(field, default) if isinstance(found, dict) else None
    if not isinstance(value, kind):
        raise DamagedPagesError(f"its field {field} is missing")
    return value


class _CutOffError(DamagedPagesError):
    """The bytes end within a value."""


class _Reader:
    """Reads values of Thrift's compact protocol; a structure becomes a dictionary by the number of each field."""

    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        found: dict[int, Any] = {}
        field = 0
        while head := self._byte():
            field = field + (head >> 4) if head >> 4 else self._signed()
            kind = head & 15
            found[field] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, depth + 1)
        return found

    def _value(self, kind: int, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise DamagedPagesError("nested too deeply")
        if kind in (_TRUE, _FALSE, _BYTE):
            return self._byte()
        if 4 <= kind <= 6:
            return self._signed()
        if kind == _DOUBLE:
            return self._bytes(8)
        if kind == _BINARY:
            return self._bytes(self._unsigned())
        if kind in (_LIST, _SET):
            head = self._byte()
            count = head >> 4 if head >> 4 < 15 else self._unsigned()
            return self._values(head & 15, count, depth)
        if kind == _MAP:
            count = self._unsigned()
            kinds = self._byte() if count else 0
            for _ in range(self._checked(count)):
                self._value(kinds >> 4, depth + 1)
                self._value(kinds & 15, depth + 1)
            return None
        if kind == _STRUCT:
            return self.struct(depth)
        raise DamagedPagesError("a value of no known type")

    def _values(self, kind: int, count: int, depth: int) -> list[Any]:
        return [self._value(kind, depth + 1) for _ in range(self._checked(count))]

    def _checked(self, count: int) -> int:
        """`count` entries, each of which takes a byte or more."""
        if count > len(self.data) - self.place:
            raise _CutOffError("it is cut off")
        return count

    def _byte(self) -> int:
        return self._bytes(1)[0]

    def _bytes(self, count: int) -> bytes:
        part = self.data[self.place : self.place + self._checked(count)]
        self.place += count
        return part

    def _unsigned(self) -> int:
        value = shift = 0
        while shift < 70:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
        raise DamagedPagesError("a number without an end")

    def _signed(self) -> int:
        value = self._unsigned()
        return (value >> 1) ^ -(value & 1)
