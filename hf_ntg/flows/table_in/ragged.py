"""Packet lists of many rows as flat arrays, before anything is known of what their numbers mean."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["WORDS_FROM", "Ragged", "direction_list", "listed"]

WORDS_FROM = 1e6
"""Direction words are numbered from here, in the order in which a file has them."""

_SEPARATORS = re.compile(r"[\s,;|]+")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")
_UNKNOWN = {"", "nan", "na", "null", "none", "n/a", "-nan"}


@dataclass
class Ragged:
    """The lists of one column, laid end to end.

    Attributes:
        counts: (n,) int64 entries of each row's list, -1 where the cell is null.
        values: (sum,) float64; NaN where an entry is null. unreadable: (n,) bool, rows that hold no list of numbers.
    """

    counts: np.ndarray
    values: np.ndarray
    unreadable: np.ndarray

    @classmethod
    def of_lists(cls, cells: Sequence[list | None]) -> Ragged:
        """From Python lists of numbers and None; anything else makes its row unreadable."""
        unreadable = np.array([not isinstance(cell, list | None) for cell in cells], bool)
        lists = [cell if isinstance(cell, list) else [] for cell in cells]
        try:
            values = np.array(list(chain.from_iterable(lists)), dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            values, lists = _row_by_row(lists, unreadable)
        if values.ndim != 1:
            values, lists = _row_by_row(lists, unreadable)
        counts = np.array([len(one) for one in lists], np.int64)
        counts[[cell is None for cell in cells]] = -1
        return cls(counts, values, unreadable)

    @classmethod
    def of_arrow(cls, column: pa.Array) -> Ragged:
        """From an Arrow column of lists of numbers."""
        if pa.types.is_fixed_size_list(column.type):
            column = column.cast(pa.list_(column.type.value_type))
        counts = pc.list_value_length(column).fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        values = column.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
        return cls(counts, values, np.zeros(len(column), bool))

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def lengths(self) -> np.ndarray:
        """(n,) entries of each row, 0 where null."""
        return np.maximum(self.counts, 0)

    def take(self, rows: np.ndarray) -> Ragged:
        """The rows where the mask `rows` is true."""
        return Ragged(self.counts[rows], self.values[np.repeat(rows, self.lengths)], self.unreadable[rows])


def _row_by_row(lists: list[list], unreadable: np.ndarray) -> tuple[np.ndarray, list[list]]:
    """The values of those lists that are numbers; the others are marked in `unreadable` and emptied."""
    kept: list[list] = []
    arrays = [np.zeros(0)]
    for row, one in enumerate(lists):
        try:
            array = np.array(one, dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            array = np.zeros((0, 0))
        if array.ndim == 1:
            kept.append(one)
            arrays.append(array)
        else:
            unreadable[row] = True
            kept.append([])
    return np.concatenate(arrays), kept


def listed(cell: object) -> object:
    """A cell as a list of numbers: a list as it is; text as JSON, or as numbers with separators between; else None."""
    if not isinstance(cell, str):
        return cell.tolist() if isinstance(cell, np.ndarray) else cell
    try:
        numbers = json.loads(cell)
        return numbers if isinstance(numbers, list) else [numbers]
    except (ValueError, RecursionError):
        parts = [part for part in _SEPARATORS.split(cell.strip("()[]{}<> \t")) if part]
        if not parts:
            return [] if cell.strip() else None
        if all(part.lower() in _UNKNOWN for part in parts) and len(parts) == 1:
            return None
        return [_number(part) for part in parts]


def _number(part: str) -> object:
    if _NUMBER.fullmatch(part):
        return float(part)
    return None if part.lower() in _UNKNOWN else part


def direction_list(cell: object, words: dict[str, int]) -> object:
    """A cell of directions as a list of numbers; words get a number each from `words`, which grows.

    Signs and arrows may follow one another without separators (``+--+``).
    """
    if isinstance(cell, str):
        squeezed = cell.strip()
        if squeezed and (set(squeezed) <= set("+-") or set(squeezed) <= set("<>")):
            parts: object = list(squeezed)
        else:
            parts = listed(cell) if "<" not in cell and ">" not in cell else _SEPARATORS.split(squeezed.strip("[]() "))
    else:
        parts = listed(cell)
    if not isinstance(parts, list) or not any(isinstance(part, str) for part in parts):
        return parts
    return [_word(part, words) if isinstance(part, str) else part for part in parts]


def _word(part: str, words: dict[str, int]) -> object:
    part = part.strip().strip("\"'").lower()
    if _NUMBER.fullmatch(part):
        return float(part)
    if part in _UNKNOWN:
        return None
    return WORDS_FROM + words.setdefault(part, len(words))
