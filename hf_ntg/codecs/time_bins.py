"""Bins that each hold as many inter-arrival times, and where in a bin its times lie."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["PARTS", "TimeBins"]

PARTS = 8  # of a bin, which each hold as many of its times


class TimeBins:
    """Bin 0 holds what is shorter than every positive training time and reads as 0; the others are equally full.

    Bins of one width on a logarithmic scale make times that are easily told from real ones by how they lie inside a
    bin: clocks tick in whole microseconds, and round trips recur. Hence the bins follow the quantiles of the training
    times, and so do their parts.

    Args:
        knots: bounds of the parts, seconds: of each bin but the first its least time, the quantiles of its times at
            steps of 1 / `PARTS`, and its greatest. Of none, no bins.
    """

    def __init__(self, knots: Sequence[float] | np.ndarray) -> None:
        self.knots = np.asarray(knots, dtype=np.float64)
        self.edges = self.knots[:: PARTS + 1]  # the least time of each bin but the first

    @classmethod
    def fit(cls, times: np.ndarray | None, bins: int) -> TimeBins:
        """At most `bins` bins, bin 0 among them, of the positive ones of `times` (P,); no bins where there are none."""
        positive = np.sort(times[times > 0]).astype(np.float64) if times is not None else np.zeros(0)
        if not len(positive):
            return cls(())
        steps = max(bins - 1, 1)
        edges, steps_each = np.unique(positive[np.arange(steps) * len(positive) // steps], return_counts=True)
        above = np.searchsorted(positive, edges[steps_each > 1], side="right")  # a time that many share is alone
        edges = np.union1d(edges, positive[above[above < len(positive)]])
        firsts = np.searchsorted(positive, edges)
        counts = np.diff(firsts, append=len(positive))
        ranks = np.ceil(counts[:, None] * np.arange(PARTS + 1) / PARTS).astype(int) - 1
        return cls(positive[firsts[:, None] + ranks.clip(min=0)].ravel())

    def __len__(self) -> int:
        return len(self.edges) + 1 if len(self.edges) else 0

    def of(self, times: np.ndarray) -> np.ndarray:
        """The bin of each of `times` (any shape); there is nothing above the last."""
        return np.searchsorted(self.edges, times, side="right")

    def draw(self, bins: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A time inside each of `bins` (P,), log-uniform in a part of it drawn at random: (P,) float32 seconds."""
        place = rng.random(len(bins)) * PARTS
        part = place.astype(int)
        low = (bins - 1).clip(min=0) * (PARTS + 1) + part
        logs = np.log(self.knots)
        times = np.exp(logs[low] + (place - part) * (logs[low + 1] - logs[low]))
        return np.where(bins == 0, 0.0, times).astype(np.float32)
