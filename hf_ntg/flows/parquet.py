"""Opens Parquet files in bounded memory: files that unpack to far more than their size are refused."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hf_ntg.errors import InputError
from hf_ntg.flows.byte_stream import FREE_BYTES, MAX_RATIO, BrokenFileError
from hf_ntg.flows.columns import MAX_LABEL

__all__ = ["PARQUET_MAGIC", "open_parquet", "rows_at_once", "with_plain_texts"]

PARQUET_MAGIC = b"PAR1"
_BATCH_BYTES = 64 << 20
_MAX_ROW_BYTES = 64 << 20


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a Parquet file; columns of texts come as dictionaries, so that a long text in many rows is held once.

    Raises:
        BrokenFileError: it is not readable. InputError: it unpacks to more than 1 GiB and 250 times its size.
    """
    try:
        fields = pq.read_schema(path)
        texts = [one.name for one in fields if pa.types.is_string(one.type)]
        file = pq.ParquetFile(path, read_dictionary=texts, pre_buffer=False)
    except (pa.ArrowException, OSError, UnicodeDecodeError, ValueError) as error:
        reason = (str(error).splitlines() or ["?"])[0]
        raise BrokenFileError(f"{path}: not a readable Parquet file ({reason})") from error
    size = sum(_bytes(file.metadata.row_group(group)) for group in range(file.metadata.num_row_groups))
    if size > max(FREE_BYTES, MAX_RATIO * path.stat().st_size):
        file.close()
        raise InputError(
            f"{path}: {file.metadata.num_rows:,} rows unpack to {size >> 20:,} MiB, more than 1 GiB and {MAX_RATIO} "
            "times the file's size: refused as a decompression bomb"
        )
    return file


def rows_at_once(file: pq.ParquetFile, path: Path, most: int) -> int:
    """Rows of a batch that fit in 64 MiB, at most `most`.

    Raises:
        InputError: a row alone takes more.
    """
    groups = [file.metadata.row_group(group) for group in range(file.metadata.num_row_groups)]
    largest = max((_bytes(group) // max(group.num_rows, 1) for group in groups), default=1)
    if largest > _MAX_ROW_BYTES:
        raise InputError(f"{path}: rows of {largest >> 20} MiB each, more than {_MAX_ROW_BYTES >> 20} MiB: refused")
    return int(np.clip(_BATCH_BYTES // max(largest, 1), 1, most))


def with_plain_texts(table: pa.Table, source: str) -> pa.Table:
    """`table` with strings in place of dictionaries.

    Raises:
        InputError: a text is longer than :data:`hf_ntg.flows.columns.MAX_LABEL`.
    """
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            column = table.column(place)
            if _longest(chunk.dictionary for chunk in column.chunks) > MAX_LABEL:
                raise InputError(
                    f"{source}: column '{field.name}': a text of more than {MAX_LABEL:,} characters; shorten it"
                )
            table = table.set_column(place, pa.field(field.name, pa.string()), column.cast(pa.string()))
    return table


def _longest(texts: Iterable[pa.Array]) -> int:
    return max((pc.max(pc.utf8_length(one)).as_py() or 0 for one in texts), default=0)


def _bytes(group: pq.RowGroupMetaData) -> int:
    """Approximate bytes that a row group takes in memory, by its own metadata.

    The metadata of single columns would be more exact, but pyarrow aborts the process where they are damaged.
    """
    return max(group.total_byte_size, 4 * group.num_rows * group.num_columns)
