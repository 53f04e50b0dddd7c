"""The method of ``augment(few)``, chosen by cross-validation on the few flows alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import f1_score

from hf_ntg.augmentation.methods import flows_from_few
from hf_ntg.flows.arrays import FlowArrays

__all__ = ["CANDIDATES", "Choice", "choose_method"]

CANDIDATES = ("crossover,fast-retransmit,shift", "crossover", "replay")
_FOLDS = 4
_PACKETS = 10  # that the classifier sees
_MARGIN = 0.01  # macro-F1
_TREES, _PER_CLASS = 50, 200  # fewer than in use, to be quick; the ranking is what counts


@dataclass(frozen=True)
class Choice:
    """The chosen method.

    Attributes:
        method: its name. scores: (folds,) macro-F1 of each candidate; empty if nothing could be compared.
    """

    method: str
    scores: dict[str, list[float]]


def choose_method(few: FlowArrays, per_class: int, seed: int = 0, candidates: Sequence[str] = CANDIDATES) -> Choice:
    """Choose how to top up `few`, looking at no other flow.

    The flows of each class are dealt into four folds, the first of which is learned from only. For each other fold, a
    random forest on signed payload lengths learns from the rest, topped up by a candidate to `per_class` flows, at most
    200, and is tested on the fold. The first candidate is chosen unless another one is ahead of it in every fold and by
    more than one point of mean macro-F1. With few flows, smaller differences are noise.
    """
    fold = _deal(few.label, np.random.default_rng(seed))
    scores: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(1, _FOLDS):
        held = few.take(fold == number)
        if not len(held):
            continue
        known = few.take(fold != number)
        for name in candidates:
            scores[name].append(_score(known, held, name, per_class, seed))
    first = scores[candidates[0]]
    ahead = {name: np.subtract(found, first) for name, found in scores.items() if found}
    better = [name for name, gains in ahead.items() if (gains > 0).all() and gains.mean() > _MARGIN]
    return Choice(max(better, key=lambda name: ahead[name].mean(), default=candidates[0]), scores)


def _score(known: FlowArrays, held: FlowArrays, method: str, per_class: int, seed: int) -> float:
    labels, counts = np.unique(known.label.astype(str), return_counts=True)
    most = min(per_class, _PER_CLASS)
    missing = {str(label): max(0, most - int(count)) for label, count in zip(labels, counts, strict=True)}
    made = flows_from_few(known, missing, method, seed)
    training = np.concatenate([flows.padded("signed_length", _PACKETS) for flows in (known, made)])
    model = RandomForestClassifier(_TREES, random_state=seed, n_jobs=1)
    model.fit(training, np.concatenate([known.label, made.label]).astype(str))
    true, predicted = held.label.astype(str), model.predict(held.padded("signed_length", _PACKETS))
    return float(f1_score(true, predicted, labels=np.unique(true), average="macro", zero_division=0))


def _deal(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N,) the fold of each flow; every class is dealt evenly, and fold 0 first, so that a lone flow is in fold 0."""
    fold = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels.astype(str)):
        own = rng.permutation(np.flatnonzero(labels == label))
        fold[own] = np.arange(len(own)) % _FOLDS
    return fold
