"""Training and test flows that share nothing they should not share."""

from __future__ import annotations

from typing import Literal

import numpy as np
from datasets import Dataset, DatasetDict

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays

__all__ = ["split_flows"]


def split_flows(
    flows: Dataset, by: Literal["random", "capture"] = "random", test_size: float = 0.2, seed: int = 0
) -> DatasetDict:
    """Split `flows` into ``train`` and ``test``, class by class.

    ``random`` draws flows: every class gives ``round(test_size * n)`` flows to the test set, at least one and never
    all. ``capture`` draws whole captures, so that no capture has flows on both sides: classes are served in order of
    how few captures they have, each gives captures until the test set holds about `test_size` of its flows, and
    the last capture of a class is never given. A class with one capture, or one flow, stays in the training set whole.

    Raises:
        InputError: `test_size` is not between 0 and 1, a split by capture is asked where no capture is known, or
            nothing is left for the test set.
    """
    if not 0 < test_size < 1:
        raise InputError(f"test_size {test_size}: give a share between 0 and 1")
    arrays = FlowArrays.from_dataset(flows)
    labels = np.where(arrays.label == None, "", arrays.label).astype(str)  # noqa: E711 (element-wise)
    rng = np.random.default_rng(seed)
    if by == "random":
        in_test = _draw_flows(labels, test_size, rng)
    elif by == "capture":
        if arrays.capture is None or any(name is None for name in arrays.capture):
            raise InputError(
                "a split by capture needs the column 'capture' filled in every row; split by random instead"
            )
        in_test = _draw_captures(labels, arrays.capture.astype(str), test_size, rng)
    else:
        raise InputError(f"split by {by!r}: choose 'random' or 'capture'")
    if not in_test.any():
        raise InputError(f"no class can give flows to a test set when split by {by}; bring more flows or captures")
    return DatasetDict(train=flows.select(np.flatnonzero(~in_test)), test=flows.select(np.flatnonzero(in_test)))


def _draw_flows(labels: np.ndarray, test_size: float, rng: np.random.Generator) -> np.ndarray:
    in_test = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        if len(rows) > 1:
            in_test[rows[: min(max(round(test_size * len(rows)), 1), len(rows) - 1)]] = True
    return in_test


def _draw_captures(labels: np.ndarray, captures: np.ndarray, test_size: float, rng: np.random.Generator) -> np.ndarray:
    class_names, label_ids = np.unique(labels, return_inverse=True)
    capture_names, capture_ids = np.unique(captures, return_inverse=True)
    counts = np.zeros((len(class_names), len(capture_names)), dtype=np.int64)  # flows of a class in a capture
    np.add.at(counts, (label_ids, capture_ids), 1)
    given = np.zeros(len(capture_names), dtype=bool)
    kept = np.zeros(len(capture_names), dtype=bool)
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
    return given[capture_ids]
