"""Flow tables out: Parquet, JSON lines, CSV."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from datasets import Dataset

from hf_ntg.errors import InputError
from hf_ntg.files import replacing

__all__ = ["TABLE_SUFFIXES", "save_flows"]

TABLE_SUFFIXES = (".parquet", ".jsonl", ".csv")


def save_flows(flows: Dataset, path: str | Path) -> Path:
    """Write `flows` in the format that the suffix of `path` names; the file appears whole or not at all.

    Parquet keeps the types. JSON lines holds one object a flow. CSV holds the packet lists as JSON text, one cell each.

    Raises:
        InputError: the suffix is none of ``.parquet``, ``.jsonl``, ``.csv``.
    """
    path = Path(path)
    if path.suffix not in TABLE_SUFFIXES:
        raise InputError(f"{path}: no such flow format; name the file with one of {', '.join(TABLE_SUFFIXES)}")
    with replacing(path) as scratch:
        if path.suffix == ".parquet":
            flows.to_parquet(scratch)
        elif path.suffix == ".jsonl":
            with scratch.open("w", encoding="utf-8") as lines:
                for batch in flows.with_format("arrow").iter(10_000):
                    lines.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in batch.to_pylist())
        else:
            pa.csv.write_csv(_lists_as_text(flows.with_format("arrow")[:]), scratch)
    return path


def _lists_as_text(table: pa.Table) -> pa.Table:
    for place, field in enumerate(table.schema):
        if pa.types.is_list(field.type):
            text = pa.array([json.dumps(cell) for cell in table.column(place).to_pylist()], pa.string())
            table = table.set_column(place, field.name, text)
    return table
