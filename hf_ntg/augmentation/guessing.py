"""Few labelled and many unlabelled flows of one network: labels guessed for the unlabelled ones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hf_ntg.augmentation.classifier import FewFlowsClassifier
from hf_ntg.augmentation.edits import joined
from hf_ntg.augmentation.methods import flows_from_few
from hf_ntg.flows.arrays import FlowArrays

__all__ = ["guess_labels", "guessed_flows"]

_METHOD, _PER_CLASS = "crossover", 200  # what the classifier learns from: the few flows, topped up


def guess_labels(few: FlowArrays, unlabelled: FlowArrays, seed: int = 0) -> np.ndarray:
    """(N,) the class of each of N `unlabelled` flows, guessed by a classifier that learned from `few`.

    The classifier is a :class:`FewFlowsClassifier`, trained on `few` and on crossovers of them.
    """
    labels, counts = np.unique(few.label.astype(str), return_counts=True)
    missing = {str(label): max(0, _PER_CLASS - int(count)) for label, count in zip(labels, counts, strict=True)}
    made = flows_from_few(few, missing, _METHOD, seed)
    return FewFlowsClassifier(seed=seed).fit(_lengths_of(few, made)).predict(unlabelled)


def guessed_flows(
    few: FlowArrays, unlabelled: FlowArrays, wanted: Mapping[str, int], seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Choose ``wanted[label]`` of the `unlabelled` flows for each class, evenly among those guessed to be of it.

    Returns:
        Rows of `unlabelled`, class after class, and their guessed labels (str). There are fewer flows of a class than
        wanted where fewer are guessed to be of it.
    """
    guessed, rng = guess_labels(few, unlabelled, seed), np.random.default_rng(seed)
    rows = [rng.permutation(np.flatnonzero(guessed == label))[:count] for label, count in wanted.items()]
    chosen = np.concatenate(rows) if rows else np.zeros(0, dtype=np.int64)
    return chosen, guessed[chosen]


def _lengths_of(*parts: FlowArrays) -> FlowArrays:
    """The labels and signed lengths of all `parts`, which may have different columns."""
    return joined([FlowArrays(part.offsets, part.payload_length, part.direction, part.label) for part in parts])
