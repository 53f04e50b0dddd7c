"""What synthetic flows are worth to a classifier."""

from __future__ import annotations

from typing import Literal

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.metrics import f1_score

from hf_ntg.errors import InputError
from hf_ntg.metrics.info import MetricInfo
from hf_ntg.metrics.views import FlowSet, FlowView, cut_to, view_flows

__all__ = ["MOST_TAUGHT", "TSTR", "Classifier", "make_classifier", "score_answers", "tstr"]

Classifier = Literal["random_forest", "gradient_boosting"]

MOST_TAUGHT = 50_000


def tstr(
    real: FlowSet,
    synthetic: FlowSet,
    train: FlowSet | None = None,
    max_packets: int = 10,
    classifier: Classifier = "random_forest",
    seed: int = 0,
) -> dict:
    """Train on synthetic, test on real: how well a classifier taught by `synthetic` names real flows.

    Features are the signed payload lengths (direction times bytes) of the first `max_packets` packets, 0 where the flow
    has ended; no header fact and no time. The classifier is scikit-learn's random forest with 100 trees, or its
    histogram gradient boosting with an L2 penalty of 1, stopped when a tenth of the flows it learns from, held back,
    gains nothing in 5 rounds (only where each class has two flows, and there are ten a class); all other settings
    are the library's own.

    Args:
        real: real test flows. synthetic: the flows to learn from, at most 50,000 of them, drawn by `seed`.
        train: the real training flows; given, the same classifier learns from them and the gap is returned.

    Returns:
        ``overall``: unweighted mean of the F1 of the classes of `real` (a class that `synthetic` lacks has F1 0).
        ``weighted_f1``: weighted by the flows of each class in `real`. ``accuracy``. ``per_class``: F1.
        ``real``: the same figures for `train`, and ``gap_points``: 100 times (its macro-F1 less this one), or None.
        ``missing``: classes of `real` that `synthetic` lacks.
    """
    sets = [real, synthetic] if train is None else [real, synthetic, train]
    names, views = view_flows(*sets, max_packets=max_packets)
    scores = [
        _train_and_test(names, views[0], cut_to(taught, MOST_TAUGHT, seed), classifier, seed) for taught in views[1:]
    ]
    missing = (views[0].class_counts > 0) & (views[1].class_counts == 0)
    return {
        **scores[0],
        "real": scores[1] if train is not None else None,
        "gap_points": 100 * (scores[1]["overall"] - scores[0]["overall"]) if train is not None else None,
        "missing": [names[c] for c in np.flatnonzero(missing)],
    }


def _train_and_test(names: list[str], test: FlowView, taught: FlowView, classifier: Classifier, seed: int) -> dict:
    model = make_classifier(classifier, taught, seed).fit(taught.signed_lengths, taught.classes)
    return score_answers(names, test, model.predict(test.signed_lengths))


def score_answers(names: list[str], test: FlowView, said: np.ndarray) -> dict:
    """How well the classes `said` (N,) of the flows of `test` hit: ``overall`` (macro-F1), ``weighted_f1``,
    ``accuracy``, ``per_class`` (F1); over the classes that `test` has."""
    tested = np.flatnonzero(test.class_counts)
    per_class = f1_score(test.classes, said, labels=tested, average=None, zero_division=0)
    return {
        "overall": float(per_class.mean()),
        "weighted_f1": float(np.average(per_class, weights=test.class_counts[tested])),
        "accuracy": float((said == test.classes).mean()),
        "per_class": {names[c]: float(score) for c, score in zip(tested, per_class, strict=True)},
    }


def make_classifier(
    name: Classifier, taught: FlowView, seed: int, jobs: int = 2
) -> RandomForestClassifier | HistGradientBoostingClassifier:
    """The classifier of a name, see :func:`tstr`, to learn from `taught`, unfitted; a forest uses `jobs` threads."""
    if name == "random_forest":
        return RandomForestClassifier(n_estimators=100, random_state=seed, n_jobs=jobs)
    if name == "gradient_boosting":
        # With scikit-learn's own settings boosting diverges on some of our data: many small classes, no penalty.
        counts = taught.class_counts[taught.class_counts > 0]
        can_hold_back = counts.min() > 1 and counts.sum() >= 10 * len(counts)  # a flow of every class, on both sides
        return HistGradientBoostingClassifier(
            l2_regularization=1.0, early_stopping=bool(can_hold_back), n_iter_no_change=5, random_state=seed
        )
    raise InputError(f"classifier {name!r}: choose 'random_forest' or 'gradient_boosting'")


TSTR = MetricInfo(
    name="tstr",
    title="Train on synthetic, test on real",
    group="use",
    unit="macro-F1",
    range=(0.0, 1.0),
    better="higher",
    formula="unweighted mean over classes of the F1 of a random forest on signed payload lengths of the first packets",
    source="Esteban, Hyland, Rätsch, Real-valued (medical) time series generation with recurrent GANs, 2017",
    compute=tstr,
    seeded=True,
)
