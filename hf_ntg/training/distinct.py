"""Distinct rows of large matrices of tokens, in little memory."""

from __future__ import annotations

import numpy as np

__all__ = ["distinct_rows"]


def distinct_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first place of each distinct row, in ascending order of the rows, and the number of each row.

    This is ``np.unique(rows, axis=0, return_index=True, return_inverse=True)`` without the rows. Rows are compared as
    strings of bytes, most significant byte first, in the smallest type that holds them.

    Args:
        rows: (N, L) integers from 0 to 4,294,967,295.

    Returns:
        (S,) places and (N,) numbers from 0 to S - 1.
    """
    smallest = np.dtype(np.uint16 if rows.max(initial=0) < 1 << 16 else np.uint32).newbyteorder(">")
    packed = np.ascontiguousarray(rows, dtype=smallest)
    keys = packed.view(np.dtype((np.void, packed.dtype.itemsize * packed.shape[1]))).ravel()
    _, first, number = np.unique(keys, return_index=True, return_inverse=True)
    return first, number
