"""Tables that Python programs hold in memory (datasets, pandas, polars, Arrow, lists of rows) as one Dataset."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
from datasets import Dataset, DatasetDict, IterableDataset, IterableDatasetDict

from hf_ntg.errors import InputError

__all__ = ["as_dataset"]


def as_dataset(table: object, source: str) -> Dataset:
    """Convert an in-memory table to a ``Dataset``; a ``Dataset`` is returned as it is.

    Args:
        table: a ``Dataset``, a ``DatasetDict`` with one split, a pandas or polars frame, an Arrow table or record
            batch, a mapping from column names to lists, or a list of rows (mappings).
        source: name of the table in messages.

    Raises:
        InputError: `table` is none of these, or Arrow cannot hold its columns.
    """
    if isinstance(table, Dataset):
        return table
    if isinstance(table, DatasetDict):
        if len(table) == 1:
            return next(iter(table.values()))
        names = ", ".join(map(str, table)) or "none"
        first = next(iter(table), "train")
        raise InputError(f"{source}: a DatasetDict (splits: {names}); give one split, such as flows[{first!r}]")
    if isinstance(table, IterableDataset | IterableDatasetDict):
        raise InputError(f"{source}: a streamed data set; load it without streaming=True")
    try:
        arrow = _as_arrow(table)
        if arrow is not None:
            return Dataset(_plain(arrow))
    except (pa.ArrowException, TypeError, ValueError, OverflowError, NotImplementedError) as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{source}: a column cannot be read ({first_line})") from error
    raise InputError(
        f"{source}: {type(table).__name__} is no flow table; give a Dataset (load_flows reads a file), a pandas or "
        "polars frame, an Arrow table, or a list of rows"
    )


def _as_arrow(table: object) -> pa.Table | None:
    """`table` as an Arrow table, None where its type is unknown."""
    if isinstance(table, pa.Table):
        return table
    if isinstance(table, pa.RecordBatch):
        return pa.Table.from_batches([table])
    if hasattr(table, "to_arrow") and hasattr(table, "columns"):  # polars
        return table.to_arrow()
    if type(table).__module__.partition(".")[0] == "pandas" and hasattr(table, "columns"):
        return pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
    if isinstance(table, Mapping):
        return pa.table({str(name): list(values) for name, values in table.items()})
    if isinstance(table, list | tuple) and all(isinstance(row, Mapping) for row in table):
        names = list(dict.fromkeys(name for row in table for name in row))
        return pa.table({str(name): [row.get(name) for row in table] for name in names})
    return None


def _plain(table: pa.Table) -> pa.Table:
    """`table` without types that datasets does not know: dictionaries (categories) become their values."""
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(place, field.name, table.column(place).cast(field.type.value_type))
        elif pa.types.is_string_view(field.type):
            table = table.set_column(place, field.name, table.column(place).cast(pa.string()))
    return table
