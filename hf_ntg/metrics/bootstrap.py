"""Bootstrap intervals of macro-F1, over the captures of the test flows if known, else over flows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hf_ntg.metrics.views import FlowView

__all__ = ["LEVEL", "f1_intervals"]

LEVEL = 0.95
DRAWS = 1_000


def f1_intervals(test: FlowView, answers: list[np.ndarray], seed: int) -> dict:
    """Percentile intervals (95 %) of the macro-F1 of one or two classifiers on the test flows.

    The flows of one capture resemble each other, so whole captures are drawn with replacement, as many as there are.
    Single flows are drawn if a flow's capture is unknown or all flows come from one. The classifiers are not retrained:
    the interval says how far the score depends on the choice of test flows. In each of 1,000 draws, macro-F1 is the
    mean over the classes of the drawn flows.

    Args:
        answers: for each classifier its predicted class of each test flow, (N,) int64.

    Returns:
        ``level``; ``by``: ``captures`` or ``flows``, ``units``: how many of them; ``intervals``: [low, high] of each
        classifier; ``difference``: interval of first minus second, in the same draws, or None for one classifier.

    Source: Efron, Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13; clusters: Davison, Hinkley,
    Bootstrap Methods and their Application, 1997, section 3.8.
    """
    drawn = _draw(test, answers, np.random.default_rng(seed))
    scores = [_macro_f1(test, said, drawn) for said in answers]
    return {
        "level": LEVEL,
        "by": drawn.by,
        "units": int(drawn.times[0].sum()),
        "intervals": [_interval(own) for own in scores],
        "difference": _interval(scores[0] - scores[1]) if len(scores) == 2 else None,
    }


class _Draws(NamedTuple):
    """Bootstrap draws.

    Attributes:
        by: what is drawn. times: (draws, groups) how often each group of flows is drawn. group: (N,) the group of each
        flow. share: (N,) weight of a flow when its group is drawn once.
    """

    by: str
    times: np.ndarray
    group: np.ndarray
    share: np.ndarray


def _draw(test: FlowView, answers: list[np.ndarray], rng: np.random.Generator) -> _Draws:
    captures = test.flows.capture
    if captures is not None and all(name is not None for name in captures):
        names, group = np.unique(captures.astype(str), return_inverse=True)
        if len(names) > 1:
            times = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=DRAWS)
            return _Draws("captures", times, group, np.ones(len(test)))
    # Flows with one true class and the same answers are interchangeable: the cost does not grow with the flows.
    kinds = np.stack([test.classes, *answers])
    _, group, counts = np.unique(kinds, axis=1, return_inverse=True, return_counts=True)
    times = rng.multinomial(len(test), counts / len(test), size=DRAWS)
    group = group.ravel()
    return _Draws("flows", times, group, 1 / counts[group])


def _macro_f1(test: FlowView, said: np.ndarray, drawn: _Draws) -> np.ndarray:
    """(draws,) macro-F1 of the predictions `said` (N,)."""
    num_groups, num_classes = drawn.times.shape[1], test.num_classes

    def count(classes: np.ndarray, counted: np.ndarray) -> np.ndarray:  # (draws, classes)
        table = np.bincount(drawn.group * num_classes + classes, counted, num_groups * num_classes)
        return drawn.times @ table.reshape(num_groups, num_classes)

    hits = count(test.classes, drawn.share * (said == test.classes))
    true, given = count(test.classes, drawn.share), count(said, drawn.share)
    present = true > 1e-9
    f1 = np.where(present, 2 * hits / np.maximum(true + given, 1e-9), 0.0)
    return f1.sum(axis=1) / present.sum(axis=1)


def _interval(values: np.ndarray) -> list[float]:
    return np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
