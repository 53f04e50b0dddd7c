"""Maps of times, TCP windows and payload lengths to [-1, 1], and back."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hf_ntg.flows.schema import MAX_PAYLOAD

__all__ = [
    "FEWEST_TIMES",
    "Knots",
    "integers_of",
    "log_scaled",
    "matched_ranks",
    "nearest_of",
    "rank_quantiles",
    "ranked_times",
    "time_knots",
    "times_of",
]

ZERO_GAP = 0.1  # a time of 0 maps to -1, the smallest positive one to -1 plus this gap
NUM_KNOTS = 33
NUM_QUANTILES = 17
FEWEST_TIMES = 4  # fewer times at one position of a class are too few for quantiles

Knots = list[list[list[float]]]  # [class][position]: logarithms of times, or ranks, ascending


def log_scaled(values: np.ndarray) -> np.ndarray:
    """Map 0 to 65,535 onto [-1, 1] on a log scale.

    :func:`integers_of` is the exact inverse for integers, also after rounding to float32.
    """
    return 2 * np.log1p(values.astype(np.float64)) / np.log1p(MAX_PAYLOAD) - 1


def integers_of(scaled: np.ndarray) -> np.ndarray:
    """The inverse of :func:`log_scaled`, rounded to integers (int64); values outside [-1, 1] are clipped."""
    values = np.expm1((np.clip(scaled, -1, 1) + 1) / 2 * np.log1p(MAX_PAYLOAD))
    return np.rint(values).astype(np.int64)


def nearest_of(known: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The entry of `known` (ascending) nearest to each of `values`; the larger of two that are equally near."""
    right = np.searchsorted(known, values).clip(max=len(known) - 1)
    left = (right - 1).clip(min=0)
    return np.where(values - known[left] < known[right] - values, known[left], known[right])


def time_knots(
    times: np.ndarray, classes: np.ndarray, positions: np.ndarray, num_classes: int, num_positions: int
) -> Knots:
    """Quantiles of the logarithm of positive inter-arrival times, for every position of every class.

    A position with fewer than 4 times gets the quantiles of its whole class. A class with fewer than 4 gets those of
    all flows.

    Args:
        times: (P,) seconds. classes, positions: (P,) class and position of each.
    """
    logs = np.log(np.where(times > 0, times, 1).astype(np.float64))
    known = times > 0
    every = _quantiles(logs[known])
    knots = []
    for k in range(num_classes):
        own = known & (classes == k)
        common = _quantiles(logs[own]) if own.sum() >= FEWEST_TIMES else every
        cells = [logs[own & (positions == t)] for t in range(num_positions)]
        knots.append([_quantiles(cell) if len(cell) >= FEWEST_TIMES else common for cell in cells])
    return knots


def ranked_times(times: np.ndarray, classes: np.ndarray, knots: Knots) -> np.ndarray:
    """Map seconds (N, W) to ranks among the times of the same class and position, in [-1, 1].

    Zero maps to -1. Between two knots a rank is linear in the logarithm; times outside the knots map to the nearest
    end. The class of each flow is in `classes` (N,).
    """
    ranks = np.full(times.shape, -1.0)
    for k, t, rows in _cells(times, classes):
        cell = np.array(knots[k][t])
        logs = np.log(np.maximum(times[rows, t].astype(np.float64), 1e-30))
        share = np.interp(logs, cell, _shares(cell))
        ranks[rows, t] = np.where(times[rows, t] > 0, ZERO_GAP - 1 + share * (2 - ZERO_GAP), -1.0)
    return ranks


def times_of(ranks: np.ndarray, classes: np.ndarray, knots: Knots) -> np.ndarray:
    """The inverse of :func:`ranked_times`: (N, W) float64 seconds."""
    times = np.zeros(ranks.shape)
    for k, t, rows in _cells(ranks, classes):
        cell = np.array(knots[k][t])
        share = (ranks[rows, t] + 1 - ZERO_GAP) / (2 - ZERO_GAP)
        logs = np.interp(share, _shares(cell), cell)
        times[rows, t] = np.where(ranks[rows, t] < ZERO_GAP / 2 - 1, 0.0, np.exp(logs))
    return times


def rank_quantiles(ranks: np.ndarray, known: np.ndarray, classes: np.ndarray, num_classes: int) -> Knots:
    """17 quantiles of the ranks (N, W) where `known` (N, W), for every position of every class.

    They are rounded to four digits. A position of a class with fewer than 4 ranks has none.
    """
    found: Knots = [[[] for _ in range(ranks.shape[1])] for _ in range(num_classes)]
    for k, t, rows in _cells(ranks, classes):
        cell = ranks[rows, t][known[rows, t]]
        if len(cell) >= FEWEST_TIMES:
            found[k][t] = np.quantile(cell, np.linspace(0, 1, NUM_QUANTILES)).round(4).tolist()
    return found


def matched_ranks(ranks: np.ndarray, classes: np.ndarray, drawn: Knots, wanted: Knots) -> np.ndarray:
    """Map ranks (N, W) from the quantiles of `drawn` to those of `wanted`; their order stays the same.

    Both are from :func:`rank_quantiles`. Positions for which one of them has no quantiles stay unchanged.
    """
    matched = np.array(ranks)
    for k, t, rows in _cells(ranks, classes):
        if drawn[k][t] and wanted[k][t]:
            cell = np.array(drawn[k][t])
            share = np.interp(ranks[rows, t], cell, _shares(cell))
            matched[rows, t] = np.interp(share, np.linspace(0, 1, len(wanted[k][t])), wanted[k][t])
    return matched


def _cells(values: np.ndarray, classes: np.ndarray) -> Iterator[tuple[int, int, np.ndarray]]:
    """Every class and position of `values` (N, W), with the rows of the class."""
    for k in np.unique(classes):
        rows = np.flatnonzero(classes == k)
        for t in range(values.shape[1]):
            yield k, t, rows


def _quantiles(logs: np.ndarray) -> list[float]:
    """Quantiles at equal steps from the least to the greatest; without any time, the logarithm of one second."""
    return np.quantile(logs, np.linspace(0, 1, NUM_KNOTS)).tolist() if len(logs) else [0.0]


def _shares(cell: np.ndarray) -> np.ndarray:
    """Share of the times below each knot; knots of equal value get the mean of their shares."""
    shares = np.linspace(0, 1, len(cell)) if len(cell) > 1 else np.array([0.5])
    _, place, number = np.unique(cell, return_inverse=True, return_counts=True)
    return (np.bincount(place, weights=shares) / number)[place]
