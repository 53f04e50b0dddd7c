"""Splits into training and test flows, by flow or by capture, once or in folds."""

from __future__ import annotations

from typing import Literal

import numpy as np
from datasets import Dataset, DatasetDict

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays, as_arrays, text_ranks
from hf_ntg.flows.frames import as_dataset

__all__ = ["split_flows"]

SplitBy = Literal["random", "capture"]


def split_flows(
    flows: Dataset,
    by: SplitBy | str = "random",
    test_size: float = 0.2,
    seed: int = 0,
    *,
    fold: int | None = None,
    folds: int = 5,
) -> DatasetDict:
    """Split `flows` into ``train`` and ``test``, class by class: once, or as one of several folds.

    ``random`` draws flows: every class gives ``round(test_size * n)`` flows to the test set, at least one and never
    all. ``capture`` draws whole captures, so that no capture has flows on both sides. The classes with the fewest
    captures come first; each gives captures until the test set holds about `test_size` of its flows, and never its
    last one. A class with one capture, or one flow, stays in the training set whole.

    With `fold`, the flows (or captures) are dealt into `folds` parts by `seed`, and part `fold` is the test set: over
    all folds each is tested once. Each class is spread over the folds as evenly as its flows or captures allow. By
    capture, the captures of a class that has two or more do not all go into one fold, so that it is trained on in
    every fold and tested in at least two; only captures that many classes share can make this impossible. A capture
    that holds the only flows of some class is in the training set of every fold.

    Args:
        flows: a flow table. by: what is drawn. test_size: share of each class for the test set; not used with `fold`.
        seed: decides the draw, and with `fold` the parts. fold: number of the test fold, from 0. folds: how many.

    Raises:
        InputError: `test_size` is not between 0 and 1, `fold` is not below `folds`, a split by capture is asked where
            not every flow has a capture, there are fewer flows or captures to test than folds, or nothing is left for
            the test set.
    """
    if by not in ("random", "capture"):
        raise InputError(f"split by {by!r}: choose 'random' or 'capture'")
    if fold is None and not 0 < test_size < 1:
        raise InputError(f"test_size {test_size}: give a share between 0 and 1")
    if fold is not None and (folds < 2 or not 0 <= fold < folds):
        raise InputError(f"fold {fold} of {folds}: give at least 2 folds, and a fold from 0 to {max(folds, 2) - 1}")
    table = as_dataset(flows, "flows")
    arrays = as_arrays(table)
    labels = text_ranks(arrays.label)
    rng = np.random.default_rng(seed)
    if by == "random":
        in_test = _draw_flows(labels, test_size, rng) if fold is None else _deal_flows(labels, folds, rng) == fold
    else:
        counts, capture_ids = _count_captures(arrays, labels)
        if fold is None:
            in_test = _draw_captures(counts, test_size, rng)[capture_ids]
        else:
            in_test = (_deal_captures(counts, folds, rng) == fold)[capture_ids]
    if not in_test.any():
        raise InputError(f"no class can give flows to a test set when split by {by}; bring more flows or captures")
    return DatasetDict(train=table.select(np.flatnonzero(~in_test)), test=table.select(np.flatnonzero(in_test)))


def _rows_of_each(labels: np.ndarray) -> list[np.ndarray]:
    """The rows of each class, ascending; `labels` are ranks."""
    return np.split(np.argsort(labels, kind="stable"), np.cumsum(np.bincount(labels))[:-1])


def _draw_flows(labels: np.ndarray, test_size: float, rng: np.random.Generator) -> np.ndarray:
    """(N,) which flows are tested; `labels` are ranks, see :func:`text_ranks`."""
    in_test = np.zeros(len(labels), dtype=bool)
    for own in _rows_of_each(labels):
        rows = rng.permutation(own)
        if len(rows) > 1:
            in_test[rows[: min(max(round(test_size * len(rows)), 1), len(rows) - 1)]] = True
    return in_test


def _deal_flows(labels: np.ndarray, folds: int, rng: np.random.Generator) -> np.ndarray:
    """Return the fold of each flow, (N,) int64; -1 for the only flow of a class.

    Flows are dealt to the folds in turn. A class goes on at the fold where the previous class ended.
    """
    fold_of = np.full(len(labels), -1)
    start = 0
    for own in _rows_of_each(labels):
        rows = rng.permutation(own)
        if len(rows) > 1:
            fold_of[rows] = (start + np.arange(len(rows))) % folds
            start = (start + len(rows)) % folds
    dealt = np.count_nonzero(fold_of >= 0)
    if dealt < folds:
        raise InputError(f"folds {folds}: only {dealt} flows can be tested; ask for fewer folds")
    return fold_of


def _count_captures(arrays: FlowArrays, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(classes, captures) flows of each class in each capture, and the capture of each flow (N,)."""
    if arrays.capture is None or any(name is None for name in arrays.capture):
        raise InputError("a split by capture needs the column 'capture' filled in every row; split by random instead")
    captures = text_ranks(arrays.capture)
    shape = labels.max() + 1, captures.max() + 1
    return np.bincount(labels * shape[1] + captures, minlength=shape[0] * shape[1]).reshape(shape), captures


def _draw_captures(counts: np.ndarray, test_size: float, rng: np.random.Generator) -> np.ndarray:
    """(captures,) which of them are tested; `counts` is (classes, captures)."""
    given = np.zeros(counts.shape[1], dtype=bool)
    kept = np.zeros(counts.shape[1], dtype=bool)
    for row in np.argsort((counts > 0).sum(axis=1), kind="stable"):
        own = np.flatnonzero(counts[row])
        wanted = test_size * counts[row].sum()
        for capture in rng.permutation(own):
            free = own[~given[own]]
            missing = wanted - counts[row][given].sum()
            if given[capture] or kept[capture] or len(free) == 1 or missing < counts[row][capture] / 2:
                continue
            given[capture] = True
        kept[own[~given[own]][:1]] = True  # another class may not take the last capture this one trains on
    return given


def _deal_captures(counts: np.ndarray, folds: int, rng: np.random.Generator) -> np.ndarray:
    """(captures,) the fold of each capture, -1 for one that holds the only flows of a class.

    Captures come in order of how much of their classes they hold. Each goes to the fold where it completes the fewest
    classes (a class whose captures all lie in one fold would not be trained on there), then where the fewest flows of
    its classes are, each class counted by its share, then where the fewest flows are.
    """
    present = counts > 0
    lone = present[present.sum(axis=1) == 1].any(axis=0)
    dealt = rng.permutation(np.flatnonzero(~lone))
    if len(dealt) < folds:
        raise InputError(
            f"folds {folds}: only {len(dealt)} captures can be tested (a capture that holds the only flows of a class "
            "is always trained on); ask for fewer folds or bring more captures"
        )
    shares = counts / counts.sum(axis=1, keepdims=True)  # (classes, captures)
    dealt = dealt[np.argsort(-(shares[:, dealt] ** 2).sum(axis=0), kind="stable")]
    fold_of = np.full(counts.shape[1], -1)
    held = np.zeros((len(counts), folds))  # share of a class in a fold
    left = present.sum(axis=1)  # captures of a class that are not dealt yet, those kept for training among them
    for capture in dealt:
        own = present[:, capture]
        spread = (held[own] > 0).sum(axis=1)[:, None]
        completes = (left[own] == 1)[:, None] & (held[own] > 0) & (spread == 1)
        crowding = shares[own, capture] @ held[own]
        flows = np.array([counts[:, fold_of == k].sum() for k in range(folds)])
        fold_of[capture] = np.lexsort((flows, crowding.round(12), completes.sum(axis=0)))[0]
        held[own, fold_of[capture]] += shares[own, capture]
        left[own] -= 1
    return fold_of
