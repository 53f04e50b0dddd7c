"""Sampling of training rows that share the most specific key, with back-off to coarser keys."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["DonorTable"]

_PARTS = ("keys", "rows")


@dataclass(frozen=True)
class DonorTable:
    """Training rows grouped by keys, from a fine key to a coarse one.

    Attributes:
        keys: for each level, the (R,) sorted keys of the training rows.
        rows: for each level, the (R,) training row that each key belongs to.
    """

    keys: list[np.ndarray]
    rows: list[np.ndarray]

    @classmethod
    def fit(cls, levels: list[np.ndarray]) -> DonorTable:
        """Group R training rows by `levels`, each (R,) int64, finest first."""
        orders = [np.argsort(level, kind="stable") for level in levels]
        return cls([level[order] for level, order in zip(levels, orders, strict=True)], orders)

    def draw(self, levels: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
        """Draw a training row for each of N wanted rows.

        Each is drawn uniformly from the training rows with the same key, at the finest level where there are any.

        Args:
            levels: (N,) int64 keys of the wanted rows at each level, finest first. Every key of the last level must
                occur in the training rows.

        Returns:
            (N,) numbers of training rows.
        """
        donors = np.full(len(levels[0]), -1, dtype=np.int64)
        for keys, rows, wanted in zip(self.keys, self.rows, levels, strict=True):
            undecided = np.flatnonzero(donors < 0)
            first = np.searchsorted(keys, wanted[undecided], side="left")
            count = np.searchsorted(keys, wanted[undecided], side="right") - first
            place = first + (rng.random(len(undecided)) * count).astype(np.int64)
            found = count > 0
            donors[undecided[found]] = rows[place[found]]
        return donors

    def tensors(self, prefix: str) -> dict[str, np.ndarray]:
        """The table as arrays, with names that begin with `prefix`; :meth:`restore` reads them."""
        levels = enumerate(zip(self.keys, self.rows, strict=True))
        return {f"{prefix}.{k}.{part}": values for k, pair in levels for part, values in zip(_PARTS, pair, strict=True)}

    @classmethod
    def restore(cls, tensors: dict[str, np.ndarray], prefix: str) -> DonorTable:
        """The inverse of :meth:`tensors`. Other entries of `tensors` are ignored."""
        levels = range(sum(name.startswith(f"{prefix}.") for name in tensors) // len(_PARTS))
        return cls(*([tensors[f"{prefix}.{k}.{part}"] for k in levels] for part in _PARTS))
