"""Flow tables out: Parquet, JSON lines, CSV."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from datasets import Dataset

from hf_ntg.errors import InputError
from hf_ntg.files import replacing
from hf_ntg.flows.provenance import (
    PROVENANCE_COLUMN,
    Provenance,
    provenance_metadata,
    provenance_of,
    provenance_text,
)
from hf_ntg.flows.schema import conform_parts

__all__ = ["TABLE_SUFFIXES", "save_flows"]

TABLE_SUFFIXES = (".parquet", ".jsonl", ".csv")
FLOWS_PER_ROW_GROUP = 16_384


def save_flows(flows: object, path: str | Path) -> Path:
    """Write `flows` in the format that the suffix of `path` names; the file appears whole or not at all.

    Parquet keeps the types. JSON lines holds one object a flow. CSV holds the packet lists as JSON text, one cell each.
    The marks of synthetic flows are in the metadata of Parquet, and in a column ``provenance`` of the other formats
    (see :mod:`hf_ntg.flows.provenance`).

    Args:
        flows: a flow table, or a list or iterator of tables with the same columns and marks, of which one is held at
            a time.

    Raises:
        InputError: the suffix is none of ``.parquet``, ``.jsonl``, ``.csv``, the flows break the schema, see
            :func:`hf_ntg.flows.schema.conform_flows`, or the tables differ in their columns.
    """
    path = Path(path)
    if path.suffix not in TABLE_SUFFIXES:
        raise InputError(f"{path}: no such flow format; name the file with one of {', '.join(TABLE_SUFFIXES)}")
    parts = conform_parts(flows, "flows to save", may_be_empty=True)
    first = next(parts)
    tables = _same_columns(chain([first], parts), first.column_names)
    if path.suffix != ".parquet":
        tables = _with_column(tables, provenance_of(first))
    with replacing(path) as scratch:
        if path.suffix == ".parquet":
            # The features travel in the schema's metadata, so that datasets reads the same types back.
            schema = first.features.arrow_schema
            schema = schema.with_metadata({**schema.metadata, **provenance_metadata(provenance_of(first))})
            with pa.parquet.ParquetWriter(scratch, schema, compression="zstd") as writer:
                for table in _gathered(tables):
                    writer.write_table(table.cast(schema))
        elif path.suffix == ".jsonl":
            with scratch.open("w", encoding="utf-8") as lines:
                for table in tables:
                    lines.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in table.to_pylist())
        else:
            texts = map(_lists_as_text, tables)
            head = next(texts)
            with pa.csv.CSVWriter(scratch, head.schema) as writer:
                for text in chain([head], texts):
                    writer.write_table(text)
    return path


def _same_columns(parts: Iterable[Dataset], names: list[str]) -> Iterator[pa.Table]:
    for part in parts:
        if part.column_names != names:
            raise InputError(f"flows to save: columns {', '.join(names)} and then {', '.join(part.column_names)}")
        yield part.with_format("arrow")[:]


def _with_column(tables: Iterator[pa.Table], marks: tuple[Provenance, ...]) -> Iterator[pa.Table]:
    """`tables` with their marks in a column; as they are where there are no marks."""
    text = provenance_text(marks)
    for table in tables:
        cells = pa.array([text], pa.string()).take(pa.array(np.zeros(len(table), np.int64)))
        yield table.append_column(PROVENANCE_COLUMN, cells) if marks else table


def _gathered(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """`tables` in pieces large enough for a row group of their own."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(map(len, waiting)) >= FLOWS_PER_ROW_GROUP:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def _lists_as_text(table: pa.Table) -> pa.Table:
    for place, field in enumerate(table.schema):
        if pa.types.is_list(field.type):
            text = pa.array([json.dumps(cell) for cell in table.column(place).to_pylist()], pa.string())
            table = table.set_column(place, field.name, text)
    return table
