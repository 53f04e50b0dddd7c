"""Opens Parquet files in bounded memory: files that unpack to far more than their size are refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hf_ntg.errors import InputError
from hf_ntg.files import NOT_UTF8
from hf_ntg.flows.byte_stream import MAX_RATIO, BrokenFileError
from hf_ntg.flows.columns import MAX_LABEL
from hf_ntg.flows.parquet_pages import ColumnSize, DamagedPagesError, column_sizes

__all__ = ["PARQUET_MAGIC", "FlowParquet", "open_parquet", "with_plain_texts"]

PARQUET_MAGIC = b"PAR1"
FREE_BYTES = 256 << 20
"""A file may always unpack to this many bytes."""
_BATCH_BYTES = 64 << 20
_MAX_ROW_BYTES = 64 << 20
_MAX_LIST_VALUES, _MAX_LIST_TEXTS = 40_000_000, 5_000_000
"""In the lists of a column of a row group: reading them takes up to 18 bytes a number where one list holds nearly all,
and up to 150 a text."""


class FlowParquet(pq.ParquetFile):
    """An open Parquet file of bounded size.

    Attributes:
        path: where it is. sizes: the size of each column of each row group.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.sizes = path, column_sizes(path)
        leaves = pq.read_metadata(path).schema
        names = [leaves.column(place).path for place in range(len(leaves.names))]
        texts = [name for place, name in enumerate(names) if leaves.column(place).physical_type == "BYTE_ARRAY"]
        super().__init__(path, read_dictionary=texts, pre_buffer=False)

    def rows_at_once(self, most: int) -> int:
        """Rows of a batch that fit in 64 MiB, at most `most`.

        Raises:
            InputError: a row alone takes more.
        """
        rows = [max(self.metadata.row_group(group).num_rows, 1) for group in range(len(self.sizes))]
        largest = max((_in_memory(group) // count for group, count in zip(self.sizes, rows, strict=True)), default=1)
        if largest > _MAX_ROW_BYTES:
            raise InputError(
                f"{self.path}: rows of {largest >> 20} MiB each, more than {_MAX_ROW_BYTES >> 20} MiB: refused"
            )
        return int(np.clip(_BATCH_BYTES // max(largest, 1), 1, most))

    def refuse_nested(self, depths: Mapping[str, int]) -> None:
        """Check the types of columns.

        Args:
            depths: name of each column that is read to the number of lists, within each other, that it may hold.

        Raises:
            InputError: a column is nested more deeply, or in another way.
        """
        for name, depth in depths.items():
            kind = self.schema_arrow.field(name).type
            if not _is_flat(kind, depth):
                wanted = ("single values", "lists of single values", "lists of lists of numbers")[depth]
                raise InputError(f"{self.path}: column '{name}' holds {str(kind)[:80]}, not {wanted}")


def open_parquet(path: Path) -> FlowParquet:
    """Open a Parquet file; columns of texts come as dictionaries, so that a long text in many rows is held once.

    Raises:
        BrokenFileError: it is not readable. InputError: it unpacks to more than 256 MiB and 250 times its size, or the
            lists of a row group hold too many values.
    """
    try:
        file = FlowParquet(path)
    except UnicodeEncodeError as error:
        raise BrokenFileError(f"{path}: {NOT_UTF8}") from error
    except (pa.ArrowException, OSError, UnicodeDecodeError, ValueError) as error:
        reason = (str(error).splitlines() or ["?"])[0]
        if isinstance(error, DamagedPagesError):
            reason = f"damaged: {reason}"
        raise BrokenFileError(f"{path}: not a readable Parquet file ({reason})") from error
    try:
        _refuse_bomb(file)
        _refuse_large_groups(file)
    except InputError:
        file.close()
        raise
    return file


def with_plain_texts(table: pa.Table, source: str, path: Path) -> pa.Table:
    """`table`, read from `path`, with texts in place of dictionaries.

    Raises:
        InputError: a text is longer than :data:`hf_ntg.flows.columns.MAX_LABEL`, or the texts of a column are larger
            than the file can honestly be.
    """
    for place, field in enumerate(table.schema):
        plain = _plain_type(field.type)
        if plain == field.type:
            continue
        column, size = table.column(place), 0
        for one in (part for chunk in column.chunks for part in _dictionaries(chunk)):
            if (pc.max(_lengths(one.dictionary)).as_py() or 0) > MAX_LABEL:
                raise InputError(
                    f"{source}: column '{field.name}': a text of more than {MAX_LABEL:,} characters; shorten it"
                )
            size += pc.sum(pc.binary_length(one.dictionary).take(one.indices)).as_py() or 0
        if size > _most_bytes(path):
            raise _bomb(source, f"column '{field.name}' unpacks", size)
        table = table.set_column(place, pa.field(field.name, plain), column.cast(plain))
    return table


def _refuse_bomb(file: FlowParquet) -> None:
    size = sum(map(_in_memory, file.sizes))
    if size > _most_bytes(file.path):
        raise _bomb(str(file.path), f"{file.metadata.num_rows:,} rows unpack", size)


def _refuse_large_groups(file: FlowParquet) -> None:
    """Refuse row groups of which a single row could take too much memory: a list is never read in parts."""
    for place in range(len(file.schema.names)):
        column = file.schema.column(place)
        most = _MAX_LIST_TEXTS if column.physical_type == "BYTE_ARRAY" else _MAX_LIST_VALUES
        largest = max((group[place].values for group in file.sizes), default=0)
        if column.max_repetition_level and largest > most:
            raise InputError(
                f"{file.path}: column '{column.path}' has {largest:,} values in one row group, more than {most:,}; "
                "write the table with smaller row groups"
            )


def _bomb(source: str, what: str, size: int) -> InputError:
    return InputError(
        f"{source}: {what} to {size >> 20:,} MiB, more than {FREE_BYTES >> 20} MiB and {MAX_RATIO} times the file's "
        "size: refused as a decompression bomb"
    )


def _most_bytes(path: Path) -> int:
    return max(FREE_BYTES, MAX_RATIO * path.stat().st_size)


def _in_memory(group: list[ColumnSize]) -> int:
    """Bytes that a row group takes in memory."""
    return sum(column.in_memory for column in group)


def _is_flat(kind: pa.DataType, depth: int) -> bool:
    """Whether a type is nested in `depth` lists at most, and in nothing else."""
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return depth > 0 and _is_flat(kind.value_type, depth - 1)
    return not pa.types.is_nested(kind)


def _plain_type(kind: pa.DataType) -> pa.DataType:
    """`kind` with the type of their values in place of dictionaries, and with plain strings in place of views."""
    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if pa.types.is_map(kind):
        return pa.map_(_plain_field(kind.key_field), _plain_field(kind.item_field))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_plain_field(kind.value_field), kind.list_size)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        make = pa.list_ if pa.types.is_list(kind) else pa.large_list
        return make(_plain_field(kind.value_field))
    if pa.types.is_struct(kind):
        return pa.struct([_plain_field(field) for field in kind])
    return pa.string() if pa.types.is_string_view(kind) else kind


def _plain_field(field: pa.Field) -> pa.Field:
    return field.with_type(_plain_type(field.type))


def _dictionaries(array: pa.Array) -> Iterator[pa.DictionaryArray]:
    """The dictionary arrays of texts or bytes within an array of any type."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        if not pa.types.is_primitive(kind.value_type):
            yield array
    elif pa.types.is_map(kind):
        yield from (*_dictionaries(array.keys), *_dictionaries(array.items))
    elif pa.types.is_struct(kind):
        for place in range(kind.num_fields):
            yield from _dictionaries(array.field(place))
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        yield from _dictionaries(array.flatten())


def _lengths(texts: pa.Array) -> pa.Array:
    """The length of each entry of a dictionary: characters of texts, bytes of other values."""
    return pc.utf8_length(texts) if pa.types.is_string(texts.type) else pc.binary_length(texts)
