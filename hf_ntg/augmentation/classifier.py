"""FewFlowsClassifier: a traffic classifier for few flows, of three models that see packet lengths differently."""

from __future__ import annotations

import warnings
from typing import Self

import numpy as np
from datasets import Dataset
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from hf_ntg.augmentation.packet_words import packet_words
from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays, as_arrays

__all__ = ["FewFlowsClassifier"]

_TREES = 200  # of each forest
_WORD_PENALTY = 10.0  # inverse strength of the regression's penalty
_ROUNDS = 60  # of the regression; more of them change little
_AT_ONCE = 4_096  # flows whose features are held together


class FewFlowsClassifier:
    """Two forests and a logistic regression, whose probabilities are averaged.

    A forest on the signed lengths of the first packets has to learn a threshold for each position, for which few flows
    do not suffice. The second one, of extremely randomised trees, also has the distance of the flow's nearest packet to
    each signed length that occurs in training, on a logarithmic scale. The logistic regression treats a flow as a text,
    whose words are lengths, binned lengths and pairs of them, see
    :func:`hf_ntg.augmentation.packet_words.packet_words`. Each forest has a quarter of the weight. No header fact and
    no time is used.

    Args:
        max_packets: the first packets of a flow that are looked at.
        landmarks: most training lengths to measure distances to; the more frequent ones are kept.
        seed: of both forests; the regression is deterministic.

    Attributes:
        labels: names of the classes, sorted.

    Source: Breiman, Random forests, Machine Learning 45(1), 2001; Geurts, Ernst, Wehenkel, Extremely randomized trees,
    Machine Learning 63(1), 2006; nearness to landmarks as in Balcan, Blum, Srebro, A theory of learning with similarity
    functions, Machine Learning 72, 2008; weights of words: Salton, Buckley, Term-weighting approaches in automatic text
    retrieval, Information Processing & Management 24(5), 1988.
    """

    def __init__(self, max_packets: int = 10, landmarks: int = 1_000, seed: int = 0) -> None:
        self.max_packets, self.landmarks, self.seed = max_packets, landmarks, seed
        self.labels: list[str] = []

    def __repr__(self) -> str:
        state = f", classes={len(self.labels)}" if self.labels else ", not fitted"
        return f"{type(self).__name__}(max_packets={self.max_packets}, seed={self.seed}{state})"

    def fit(self, flows: Dataset | FlowArrays) -> Self:
        """Learn from labelled flows, such as those of :func:`hf_ntg.augment`.

        Raises:
            InputError: `flows` is no flow table, or a flow has no label.
        """
        arrays = as_arrays(flows, "flows to learn from")
        if any(label is None for label in arrays.label):
            raise InputError("flows to learn from: some have no label; fill the column 'label' or leave them out")
        lengths = arrays.padded("signed_length", self.max_packets)
        values, counts = np.unique(lengths[lengths != 0], return_counts=True)
        kept = np.sort(np.argsort(-counts, kind="stable")[: self.landmarks])
        self._landmarks = _signed_log(values[kept])
        names = arrays.label.astype(str)
        self._by_position = RandomForestClassifier(_TREES, random_state=self.seed, n_jobs=1).fit(lengths, names)
        trees = ExtraTreesClassifier(_TREES, random_state=self.seed, n_jobs=1)
        self._anywhere = trees.fit(self._features(lengths), names)
        self.labels = trees.classes_.tolist()
        self._by_words = _fit_words(lengths, names) if len(self.labels) > 1 else None
        return self

    def predict_proba(self, flows: Dataset | FlowArrays) -> np.ndarray:
        """Probability of each of ``labels`` for N flows: (N, K)."""
        lengths = as_arrays(flows, "flows to classify").padded("signed_length", self.max_packets)
        parts = [lengths[first : first + _AT_ONCE] for first in range(0, len(lengths), _AT_ONCE)]
        return np.concatenate([self._probabilities(part) for part in parts])

    def _probabilities(self, lengths: np.ndarray) -> np.ndarray:
        anywhere = self._anywhere.predict_proba(self._features(lengths))
        forests = (anywhere + self._by_position.predict_proba(lengths)) / 2
        if self._by_words is None:
            return forests
        return (forests + self._by_words.predict_proba(packet_words(lengths))) / 2

    def predict(self, flows: Dataset | FlowArrays) -> np.ndarray:
        """The most probable label of N flows: (N,) str."""
        return np.array(self.labels)[self.predict_proba(flows).argmax(axis=1)]

    def _features(self, lengths: np.ndarray) -> np.ndarray:
        """(N, landmarks + max_packets) float32 from signed lengths (N, max_packets)."""
        logs = _signed_log(lengths)
        nearest = np.full((len(lengths), len(self._landmarks)), np.inf, dtype=np.float32)
        for packet in logs.T:
            np.minimum(nearest, np.abs(packet[:, None] - self._landmarks), out=nearest)
        return np.concatenate([nearest, lengths], axis=1, dtype=np.float32)


def _fit_words(lengths: np.ndarray, names: np.ndarray) -> Pipeline:
    """A logistic regression on the weighted words of flows with signed lengths (N, max_packets)."""
    words = TfidfVectorizer(analyzer=list, sublinear_tf=True)
    model = make_pipeline(words, LogisticRegression(C=_WORD_PENALTY, max_iter=_ROUNDS, tol=1e-3))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=ConvergenceWarning)  # the last round is used
        return model.fit(packet_words(lengths), names)


def _signed_log(lengths: np.ndarray) -> np.ndarray:
    return (np.sign(lengths) * np.log1p(np.abs(lengths))).astype(np.float32)
