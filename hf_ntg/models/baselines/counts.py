"""Interpolated n-gram probabilities over integer symbols: counting, sampling and look-up on whole arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

__all__ = ["CountTable", "draw_symbols", "symbol_probability"]

RADIX = 1 << 18  # above every symbol and every class number, so that two of them pack into one int64


@dataclass(frozen=True)
class CountTable:
    """Counts of the symbols that followed each context of one length.

    A context is stored as the row of its suffix in the table of the next shorter length, and the item before that
    suffix. So a context of any length is one int64, and a context is known only if its suffix is.

    Attributes:
        contexts: (C,) sorted ``suffix_row * RADIX + item``.
        pairs: (E,) sorted ``context_row * RADIX + symbol``.
        counts: (E,) how often that symbol followed that context.
        scale: factor on the discount.
    """

    contexts: np.ndarray
    pairs: np.ndarray
    counts: np.ndarray
    scale: float = 1.0

    @classmethod
    def count(
        cls, suffixes: np.ndarray, items: np.ndarray, symbols: np.ndarray, scale: float = 1.0
    ) -> tuple[CountTable, np.ndarray]:
        """Count `symbols` after the contexts (`suffixes`, `items`). Returns the table and each event's row."""
        contexts, rows = np.unique(suffixes * RADIX + items, return_inverse=True)
        pairs, counts = np.unique(rows * RADIX + symbols, return_counts=True)
        return cls(contexts, pairs, counts, scale), rows

    @cached_property
    def starts(self) -> np.ndarray:
        """(C + 1,) where the pairs of each context begin."""
        return np.searchsorted(self.pairs, np.arange(len(self.contexts) + 1) * RADIX)

    @cached_property
    def totals(self) -> np.ndarray:
        """(C,) how often each context occurred."""
        return np.add.reduceat(self.counts, self.starts[:-1]).astype(np.float64)

    @cached_property
    def discount(self) -> float:
        """The amount subtracted from every count, for symbols that did not follow the context in training.

        Ney's leave-one-out estimate with add-one smoothing, times `scale`, and at most 0.99. A scale above 1 corrects
        for flows that recur: leaving out one of them leaves its copies in.
        """
        ones, twos = (self.counts == 1).sum(), (self.counts == 2).sum()
        return min(0.99, self.scale * float((ones + 1) / (ones + 2 * twos + 2)))

    @cached_property
    def cumulative(self) -> np.ndarray:
        """(E + 1,) running sum of the discounted counts over the whole table, from 0."""
        return np.concatenate([[0.0], np.cumsum(self.counts - self.discount)])

    def rows_of(self, suffixes: np.ndarray, items: np.ndarray) -> np.ndarray:
        """(N,) the row of each context, -1 for an unknown one."""
        keys = suffixes * RADIX + items
        rows = np.minimum(np.searchsorted(self.contexts, keys), len(self.contexts) - 1)
        return np.where((suffixes >= 0) & (self.contexts[rows] == keys), rows, -1)

    def share(self, rows: np.ndarray, symbols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Discounted share of each symbol after its context, and the share left to shorter contexts: (N,), (N,)."""
        wanted = rows * RADIX + symbols
        place = np.minimum(np.searchsorted(self.pairs, wanted), len(self.pairs) - 1)
        weight = np.where(self.pairs[place] == wanted, self.counts[place] - self.discount, 0.0)
        return weight / self.totals[rows], self.discount * np.diff(self.starts)[rows] / self.totals[rows]

    def pick(self, rows: np.ndarray, uniform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A symbol after each context by inverse CDF of `uniform` in [0, 1); -1 backs off to a shorter context.

        Returns:
            The symbols (N,), and numbers (N,) that are uniform in [0, 1) given that a flow backs off.
        """
        target = self.cumulative[self.starts[rows]] + uniform * self.totals[rows]
        place = np.searchsorted(self.cumulative[1:], target, side="right")
        end = self.starts[rows + 1]
        left = self.totals[rows] - (self.cumulative[end] - self.cumulative[self.starts[rows]])
        again = np.clip((target - self.cumulative[end]) / np.maximum(left, 1e-300), 0.0, np.nextafter(1.0, 0.0))
        return np.where(place < end, self.pairs[np.minimum(place, len(self.pairs) - 1)] % RADIX, -1), again


def draw_symbols(tables: list[CountTable], rows: list[np.ndarray], uniform: np.ndarray) -> np.ndarray:
    """Draw a symbol for each of N histories, by the longest known context first.

    Args:
        tables: from the shortest context to the longest.
        rows: for each table, the (N,) context rows; -1 for an unknown context.
        uniform: (N,) numbers in [0, 1) that decide the symbols.

    Returns:
        (N,) symbols; -1 where every table backs off.
    """
    drawn, uniform = np.full(len(rows[0]), -1, dtype=np.int64), uniform.copy()
    for table, row in zip(reversed(tables), reversed(rows), strict=True):
        undecided = np.flatnonzero((drawn < 0) & (row >= 0))
        drawn[undecided], uniform[undecided] = table.pick(row[undecided], uniform[undecided])
    return drawn


def symbol_probability(
    tables: list[CountTable], rows: list[np.ndarray], symbols: np.ndarray, base: np.ndarray
) -> np.ndarray:
    """(N,) the interpolated probability of each symbol; `base` (N,) is its probability without any counts."""
    probability = base.astype(np.float64)
    for table, row in zip(tables, rows, strict=True):
        known = np.flatnonzero(row >= 0)
        share, left = table.share(row[known], symbols[known])
        probability[known] = share + left * probability[known]
    return probability
