"""What synthetic flows are worth to a classifier."""

from __future__ import annotations

from typing import Literal

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.metrics import f1_score

from hf_ntg.errors import InputError
from hf_ntg.metrics.info import MetricInfo
from hf_ntg.metrics.views import FlowSet, FlowView, cut_to, view_flows

__all__ = ["TSTR", "tstr"]

Classifier = Literal["random_forest", "gradient_boosting"]

_MOST_TAUGHT = 50_000


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
    histogram gradient boosting, both with default settings otherwise.

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
        _train_and_test(names, views[0], cut_to(taught, _MOST_TAUGHT, seed), classifier, seed) for taught in views[1:]
    ]
    missing = (views[0].class_counts > 0) & (views[1].class_counts == 0)
    return {
        **scores[0],
        "real": scores[1] if train is not None else None,
        "gap_points": 100 * (scores[1]["overall"] - scores[0]["overall"]) if train is not None else None,
        "missing": [names[c] for c in np.flatnonzero(missing)],
    }


def _train_and_test(names: list[str], test: FlowView, taught: FlowView, classifier: Classifier, seed: int) -> dict:
    model = _classifier(classifier, seed).fit(taught.signed_lengths, taught.classes)
    said = model.predict(test.signed_lengths)
    tested = np.flatnonzero(test.class_counts)
    per_class = f1_score(test.classes, said, labels=tested, average=None, zero_division=0)
    return {
        "overall": float(per_class.mean()),
        "weighted_f1": float(np.average(per_class, weights=test.class_counts[tested])),
        "accuracy": float((said == test.classes).mean()),
        "per_class": {names[c]: float(score) for c, score in zip(tested, per_class, strict=True)},
    }


def _classifier(name: Classifier, seed: int) -> RandomForestClassifier | HistGradientBoostingClassifier:
    if name == "random_forest":
        return RandomForestClassifier(n_estimators=100, random_state=seed, n_jobs=2)
    if name == "gradient_boosting":
        return HistGradientBoostingClassifier(random_state=seed)
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
