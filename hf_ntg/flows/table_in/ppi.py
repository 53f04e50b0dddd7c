"""Packet lists in one column, as CESNET's tools have them: ``[times, directions, lengths]``, or push flags behind them.

Source: the column PPI of CESNET data sets and of cesnet-datazoo. Times are gaps in milliseconds, directions are 1 and
-1, and arrays of a fixed width have zeros behind the last packet.
"""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hf_ntg.flows.table_in.ragged import Ragged

__all__ = ["PPI_COLUMNS", "PPI_FACTS", "ppi_lists", "ppi_ragged"]

PPI_COLUMNS = ("inter_arrival_time", "direction", "payload_length")
"""What the first three lists are."""

PPI_FACTS = {
    "protocol": "PROTOCOL",
    "source_port": "SRC_PORT",
    "destination_port": "DST_PORT",
    "source": "SRC_IP",
    "destination": "DST_IP",
}
"""CESNET's names of the other columns."""


def ppi_lists(cell: object) -> dict[str, object]:
    """The packet lists of one cell, by column; each is text without meaning if the cell is no three or four lists."""
    if isinstance(cell, str):
        try:
            cell = json.loads(cell)
        except (ValueError, RecursionError):
            return dict.fromkeys(PPI_COLUMNS, cell)
    if cell is None:
        return dict.fromkeys(PPI_COLUMNS)
    if not isinstance(cell, list) or len(cell) not in (3, 4):
        return dict.fromkeys(PPI_COLUMNS, "?")
    return dict(zip(PPI_COLUMNS, cell, strict=False))


def ppi_ragged(column: pa.Array) -> dict[str, Ragged] | None:
    """The packet lists of a column of lists of lists of numbers, by column; None if the column is of another type."""
    if isinstance(column, pa.ExtensionArray):  # Array2D of datasets
        column = column.storage
    inner = column.flatten() if _holds_lists(column.type) else None
    if inner is None or not _holds_lists(inner.type):
        return None
    number = inner.type.value_type
    if not (pa.types.is_integer(number) or pa.types.is_floating(number)):
        return None
    counts = pc.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    is_ppi = (counts == 3) | (counts == 4)
    starts = np.cumsum(counts) - counts
    found = {}
    for place, name in enumerate(PPI_COLUMNS):
        one = Ragged.of_arrow(inner.take(pa.array(starts + place, pa.int64(), mask=~is_ppi)))
        one.unreadable = ~is_ppi & np.asarray(column.is_valid())
        found[name] = one
    return found


def _holds_lists(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
