"""A flow table a piece at a time, for what must not hold all of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from datasets import Dataset

from hf_ntg.errors import InputError
from hf_ntg.flows.load import load_flows
from hf_ntg.flows.parquet import open_parquet, with_plain_texts
from hf_ntg.flows.provenance import mark_flows, provenance_of_file

__all__ = ["in_pieces", "stream_flows"]


def stream_flows(source: str | Path, flows_at_once: int = 10_000) -> Iterator[Dataset]:
    """Give the flows of `source` in order: a Parquet file piece by piece, any other source of
    :func:`~hf_ntg.flows.load.load_flows` whole. Pieces of a Parquet file are still to be checked against the schema.

    Raises:
        InputError: as :func:`~hf_ntg.flows.load.load_flows`.
    """
    path = Path(source)
    if path.suffix != ".parquet" or not path.is_file():
        yield load_flows(source)
        return
    try:
        with open_parquet(path) as file:
            marks = provenance_of_file(file.schema_arrow)
            for batch in file.iter_batches(file.rows_at_once(flows_at_once), use_threads=False):
                table = with_plain_texts(pa.Table.from_batches([batch]), str(path), path)
                yield mark_flows(Dataset(table), marks)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a readable Parquet file ({str(error).splitlines()[0]})") from error


def in_pieces(flows: Dataset, flows_at_once: int = 100_000) -> Iterator[Dataset]:
    """Give the flows of a table that was checked against the schema in pieces, to be written one at a time.

    Rows that were selected are copied piece by piece, if they are in the order of the table underneath; rows in another
    order come as one piece.
    """
    rows = None if flows._indices is None else flows._indices.column(0).to_numpy().astype(np.int64)
    if rows is not None and (np.diff(rows) < 0).any():
        yield flows
        return
    first = 0
    for batch in flows.data.table.to_batches(max_chunksize=flows_at_once):
        piece, last = pa.Table.from_batches([batch]), first + len(batch)
        if rows is not None:
            begin, end = np.searchsorted(rows, [first, last])
            piece = piece.take(pa.array(rows[begin:end] - first))
        first = last
        if len(piece):
            part = Dataset(piece)
            part.info.description = flows.info.description  # where marks of provenance are kept
            yield part
