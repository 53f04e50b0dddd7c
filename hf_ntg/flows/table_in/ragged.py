"""Packet lists of many rows as flat arrays, before anything is known of what their numbers mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["Ragged"]


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
