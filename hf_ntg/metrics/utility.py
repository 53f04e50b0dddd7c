"""Usefulness of synthetic flows to a classifier: train on synthetic, test on real."""

from __future__ import annotations

from typing import Literal

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.metrics import f1_score

from hf_ntg.errors import InputError
from hf_ntg.metrics.bootstrap import f1_intervals
from hf_ntg.metrics.info import MetricInfo
from hf_ntg.metrics.views import FlowSet, FlowView, cut_to, view_flows

__all__ = ["MAX_TRAINING_FLOWS", "TSTR", "Classifier", "make_classifier", "score_predictions", "tstr"]

Classifier = Literal["random_forest", "gradient_boosting"]

MAX_TRAINING_FLOWS = 50_000


def tstr(
    real: FlowSet,
    synthetic: FlowSet,
    train: FlowSet | None = None,
    max_packets: int = 10,
    classifier: Classifier = "random_forest",
    seed: int = 0,
) -> dict:
    """Train on synthetic, test on real: macro-F1 on real flows of a classifier trained on `synthetic`.

    The features are ``direction * (1 + payload length)`` of the first `max_packets` packets, 0 after the flow's end: an
    empty packet (1 or -1) is not the end of a flow. Header fields and times are not used. The classifier is
    scikit-learn's random forest with 100 trees, or its histogram gradient boosting with an L2 penalty of 1. Boosting
    stops early when the loss on a held-out tenth of its training flows does not improve in 5 rounds. This needs two
    flows of each class, and ten per class on average. All other settings are the library's defaults.

    Args:
        real: real test flows. synthetic: the flows to train on, at most 50,000 of them, drawn by `seed`.
        train: the real training flows. If given, the same classifier is trained on them and the gap is returned.

    Returns:
        ``overall``: unweighted mean of the F1 of the classes of `real` (a class that `synthetic` lacks has F1 0).
        ``weighted_f1``: weighted by the flows of each class in `real`. ``accuracy``. ``per_class``: F1.
        ``interval``: [low, high] of ``overall``, 95 %, by bootstrap over the captures of `real` (``interval_by`` is
        then ``captures``) or over its flows, see :func:`hf_ntg.metrics.bootstrap.f1_intervals`; ``interval_units``.
        ``missing``: classes of `real` that `synthetic` lacks.
        ``real``: the same scores for `train`; ``gap_points``: 100 times (its macro-F1 minus this one);
        ``gap_interval``: its interval, with both classifiers tested on the same draws. These three are None without
        `train`.
    """
    sets = [real, synthetic] if train is None else [real, synthetic, train]
    names, (test, *training) = view_flows(*sets, max_packets=max_packets)
    predictions = [
        _predictions_of(test, cut_to(view, MAX_TRAINING_FLOWS, seed), classifier, seed) for view in reversed(training)
    ]
    drawn = f1_intervals(test, predictions, seed)
    scores = [
        {**score_predictions(names, test, predicted), "interval": interval}
        for predicted, interval in zip(predictions, drawn["intervals"], strict=True)
    ]
    missing = (test.class_counts > 0) & (training[0].class_counts == 0)
    found = {
        **scores[-1],
        "interval_by": drawn["by"],
        "interval_units": drawn["units"],
        "missing": [names[c] for c in np.flatnonzero(missing)],
        "real": None,
        "gap_points": None,
        "gap_interval": None,
    }
    if train is not None:
        found["real"] = scores[0]
        found["gap_points"] = 100 * (scores[0]["overall"] - scores[-1]["overall"])
        found["gap_interval"] = [100 * end for end in drawn["difference"]]
    return found


def _predictions_of(test: FlowView, training: FlowView, classifier: Classifier, seed: int) -> np.ndarray:
    """(N,) predictions for the flows of `test` by a classifier trained on `training`."""
    model = make_classifier(classifier, training, seed).fit(training.signed_sizes, training.classes)
    return model.predict(test.signed_sizes)


def score_predictions(names: list[str], test: FlowView, predicted: np.ndarray) -> dict:
    """Scores of a classifier's predictions `predicted` (N,) for the flows of `test`.

    Returns:
        ``overall`` (macro-F1), ``weighted_f1``, ``accuracy``, ``per_class`` (F1), over the classes that `test` has.
    """
    tested = np.flatnonzero(test.class_counts)
    per_class = f1_score(test.classes, predicted, labels=tested, average=None, zero_division=0)
    return {
        "overall": float(per_class.mean()),
        "weighted_f1": float(np.average(per_class, weights=test.class_counts[tested])),
        "accuracy": float((predicted == test.classes).mean()),
        "per_class": {names[c]: float(score) for c, score in zip(tested, per_class, strict=True)},
    }


def make_classifier(
    name: Classifier, training: FlowView, seed: int, jobs: int = 2
) -> RandomForestClassifier | HistGradientBoostingClassifier:
    """The unfitted classifier `name`, see :func:`tstr`, set up to be trained on `training`.

    Args:
        jobs: threads of a forest.

    Raises:
        InputError: there is no such classifier.
    """
    if name == "random_forest":
        return RandomForestClassifier(n_estimators=100, random_state=seed, n_jobs=jobs)
    if name == "gradient_boosting":
        # Without a penalty, the library's default, boosting diverges where there are many small classes.
        counts = training.class_counts[training.class_counts > 0]
        can_hold_out = counts.min() > 1 and counts.sum() >= 10 * len(counts)  # each class needs a flow on both sides
        return HistGradientBoostingClassifier(
            l2_regularization=1.0, early_stopping=bool(can_hold_out), n_iter_no_change=5, random_state=seed
        )
    raise InputError(f"classifier {name!r}: choose 'random_forest' or 'gradient_boosting'")


TSTR = MetricInfo(
    name="tstr",
    title="Train on synthetic, test on real",
    group="use",
    unit="macro-F1",
    range=(0.0, 1.0),
    better="higher",
    formula="unweighted mean over classes of the F1 of a random forest on directions and payload lengths",
    source="Esteban, Hyland, Rätsch, Real-valued (medical) time series generation with recurrent GANs, 2017",
    compute=tstr,
    seeded=True,
)
