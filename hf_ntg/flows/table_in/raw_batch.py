"""Rows of a table before they become flows: their packet lists and other cells, checked but not converted."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa

from hf_ntg.flows.columns import MAX_LABEL
from hf_ntg.flows.schema import PACKET_COLUMNS
from hf_ntg.flows.table_in.ragged import Ragged

__all__ = ["ADDRESSES", "NUMBERS", "TEXTS", "RawBatch", "text_of", "whole_number_of"]

ADDRESSES = ("source", "destination")
_MOST_PACKETS = 2**31 - 1
NUMBERS = {"protocol": 255, "source_port": 65_535, "destination_port": 65_535, "packet_count": _MOST_PACKETS}
"""Columns of whole numbers from 0, and the largest value of each."""
TEXTS = ("flow_id", "label", "capture", "sni")
_PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, "sctp": 132}


class RawBatch:
    """Rows whose packet lists have not been converted yet: ``lists`` by column, and the other columns."""

    def __init__(self, lists: dict[str, Ragged], facts: dict[str, list]) -> None:
        self.lists, self.facts = lists, facts

    def __len__(self) -> int:
        return len(self.lists["payload_length"])

    def to_record_batch(self) -> pa.RecordBatch:
        columns = {}
        for name, one in self.lists.items():
            offsets = pa.array(np.concatenate([[0], np.cumsum(one.lengths)]), pa.int64())
            columns[name] = pa.LargeListArray.from_arrays(offsets, pa.array(one.values))
            columns[f"{name} counts"] = pa.array(one.counts)
            columns[f"{name} unreadable"] = pa.array(one.unreadable)
        for name in TEXTS:
            columns[name] = pa.array(self.facts[name], pa.large_string())
        for name in NUMBERS:
            columns[name] = pa.array(self.facts[name], pa.int32())
        for name in ADDRESSES:
            columns[name] = pa.array(self.facts[name], pa.binary())
        return pa.RecordBatch.from_pydict(columns)

    @classmethod
    def from_record_batch(cls, batch: pa.RecordBatch) -> RawBatch:
        names = batch.schema.names
        lists = {
            name: Ragged(
                batch.column(f"{name} counts").to_numpy(),
                batch.column(name).flatten().to_numpy(),
                batch.column(f"{name} unreadable").to_numpy(zero_copy_only=False),
            )
            for name in PACKET_COLUMNS
            if name in names
        }
        facts = {name: batch.column(name).to_pylist() for name in (*TEXTS, *NUMBERS, *ADDRESSES)}
        return cls(lists, facts)


def text_of(cell: object, column: str, noticed: Counter[str]) -> str | None:
    """A cell as text; None where it is empty, or cannot be kept. Bytes are read as UTF-8."""
    if isinstance(cell, bytes):
        cell = cell.decode("utf-8", "backslashreplace")
    if cell is None or cell == "" or cell != cell:
        return None
    text = str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)
    if len(text) > MAX_LABEL:
        noticed[f"values of '{column}' of more than {MAX_LABEL:,} characters, taken as unknown"] += 1
        return None
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        noticed[f"values of '{column}' that are not valid Unicode, taken as unknown"] += 1
        return None
    return text


def whole_number_of(cell: object, column: str, noticed: Counter[str]) -> int | None:
    """A cell as a whole number from 0 to `NUMBERS[column]`; None where it is empty, and, counted, where it is none."""
    if cell is None or cell == "" or cell != cell:
        return None
    if column == "protocol" and isinstance(cell, str) and cell.strip().lower() in _PROTOCOLS:
        return _PROTOCOLS[cell.strip().lower()]
    try:
        number = float(cell)  # type: ignore[arg-type]  # whatever a file holds; what is no number raises
        if number == int(number) and 0 <= number <= NUMBERS[column]:
            return int(number)
    except (TypeError, ValueError, OverflowError):
        if isinstance(cell, str) and cell.strip().lower() in ("nan", "null", "none", "na", "-"):
            return None
    noticed[f"values of '{column}' that are no whole number from 0 to {NUMBERS[column]}, taken as unknown"] += 1
    return None
