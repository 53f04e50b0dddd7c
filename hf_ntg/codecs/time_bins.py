"""Bins of inter-arrival times with equal counts, and the distribution of the times inside each bin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["PARTS", "TimeBins"]

PARTS = 8  # sub-intervals of a bin, equally full


class TimeBins:
    """Bins of inter-arrival times. All but bin 0 hold about equally many of the training times.

    Bin 0 holds all times shorter than every positive training time, and decodes to 0. Bins and their sub-intervals
    follow the quantiles of the training times. With bins of equal width on a log scale, a classifier tells generated
    times from real ones by their distribution inside a bin: clocks tick in whole microseconds, and round trips recur.

    Args:
        knots: ascending bounds, in seconds. For each bin but bin 0 these are `PARTS` + 1 numbers: its least time, the
            quantiles of its times at steps of 1 / `PARTS`, and its greatest time. Empty: no bins.
    """

    def __init__(self, knots: Sequence[float] | np.ndarray) -> None:
        self.knots = np.asarray(knots, dtype=np.float64)
        self.edges = self.knots[:: PARTS + 1]  # the least time of each bin except the first

    @classmethod
    def fit(cls, times: np.ndarray | None, bins: int) -> TimeBins:
        """Make at most `bins` bins, bin 0 included, for the positive ones of `times` (P,).

        Without positive times, or with `times` None, there are no bins.
        """
        positive = np.sort(times[times > 0]).astype(np.float64) if times is not None else np.zeros(0)
        if not len(positive):
            return cls(())
        steps = max(bins - 1, 1)
        edges, steps_each = np.unique(positive[np.arange(steps) * len(positive) // steps], return_counts=True)
        above = np.searchsorted(
            positive, edges[steps_each > 1], side="right"
        )  # a time that many packets share gets a bin of its own
        edges = np.union1d(edges, positive[above[above < len(positive)]])
        firsts = np.searchsorted(positive, edges)
        counts = np.diff(firsts, append=len(positive))
        ranks = np.ceil(counts[:, None] * np.arange(PARTS + 1) / PARTS).astype(int) - 1
        return cls(positive[firsts[:, None] + ranks.clip(min=0)].ravel())

    def __len__(self) -> int:
        return len(self.edges) + 1 if len(self.edges) else 0

    def of(self, times: np.ndarray) -> np.ndarray:
        """Bin of each of `times` (any shape); longer times than any in training fall into the last bin."""
        return np.searchsorted(self.edges, times, side="right")

    def draw(self, bins: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
        """Draw a time inside each of `bins` (P,), log-uniform in a random sub-interval: (P,) float32 seconds.

        Args:
            uniforms: (P,) numbers in [0, 1) that decide.
        """
        place = uniforms * PARTS
        part = place.astype(int)
        low = (bins - 1).clip(min=0) * (PARTS + 1) + part
        logs = np.log(self.knots)
        times = np.exp(logs[low] + (place - part) * (logs[low + 1] - logs[low]))
        return np.where(bins == 0, 0.0, times).astype(np.float32)
