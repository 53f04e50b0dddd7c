"""Metrics of whole flows: two-sample classifier, maximum mean discrepancy, correlations between packets."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist, pdist
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from threadpoolctl import threadpool_limits

from hf_ntg.metrics.distance import LEAST_TIME, has_times
from hf_ntg.metrics.info import MetricInfo
from hf_ntg.metrics.neighbours import embed_flows
from hf_ntg.metrics.views import FlowSet, FlowView, cut_to_one_size, open_scores, view_flows

__all__ = ["C2ST", "CORRELATION_DIFFERENCE", "MMD", "c2st", "correlation_difference", "mmd"]


def c2st(real: FlowSet, synthetic: FlowSet, max_packets: int = 10, seed: int = 0) -> dict:
    """Classifier two-sample test: how well gradient boosting tells synthetic flows from real ones.

    Features are the class, each packet as in :func:`hf_ntg.metrics.neighbours.embed_flows`, and the base-10 logarithms
    of the inter-arrival times where both sets have them. Both sets are cut to one size (5,000 at most, drawn by
    `seed`). All classes take part: a class that one set lacks, or unequal shares of the classes, raise the score.

    Returns:
        ``overall``: area under the ROC curve of 5-fold cross-validated predictions; 0.5 is chance.
        ``per_class``: the same, for classes with flows of both kinds. ``times``: whether times were among the features.
    """
    names, views = view_flows(real, synthetic, max_packets=max_packets)
    views = cut_to_one_size(views, seed, most=5_000)
    if min(map(len, views)) < 5:
        return {"overall": None, "per_class": {}, "reason": "fewer than 5 flows in a set"}
    times = all(has_times(view) for view in views)
    features = np.concatenate([_features(view, times) for view in views])
    is_real = np.repeat([1, 0], [len(view) for view in views])
    model = HistGradientBoostingClassifier(random_state=seed)
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    with threadpool_limits(
        1, "openmp"
    ):  # its threads wait in busy loops: on a machine that is not idle this costs minutes
        said = cross_val_predict(model, features, is_real, cv=folds, method="predict_proba")[:, 1]
    classes = np.concatenate([view.classes for view in views])
    both = np.flatnonzero((views[0].class_counts > 0) & (views[1].class_counts > 0))
    return {
        "overall": float(roc_auc_score(is_real, said)),
        "per_class": {names[c]: float(roc_auc_score(is_real[classes == c], said[classes == c])) for c in both},
        "times": times,
    }


def mmd(real: FlowSet, synthetic: FlowSet, max_packets: int = 10, seed: int = 0) -> dict:
    """Squared maximum mean discrepancy of the flows of each class. The estimate is unbiased, so it may be negative.

    The kernel is ``exp(-d / m)``: d is the Manhattan distance of :func:`hf_ntg.metrics.neighbours.embed_flows`, m its
    mean between real flows of the class. At most 1,000 flows of a class are taken from each set, drawn by `seed`.
    Differences of a few thousandths are noise.

    Returns:
        As :func:`hf_ntg.metrics.views.open_scores`, for classes with two flows or more in both sets.
    """
    names, views = view_flows(real, synthetic, max_packets=max_packets)
    rng = np.random.default_rng(seed)
    scores = {}
    for c in range(len(names)):
        p, q = (_some_points(view, c, rng) for view in views)
        if min(len(p), len(q)) > 1:
            scores[c] = _unbiased_mmd(p, q)
    return open_scores(names, scores)


def correlation_difference(real: FlowSet, synthetic: FlowSet, max_packets: int = 10) -> dict:
    """Mean absolute difference of the correlations between packet positions, class by class.

    A correlation is that of the values of :func:`hf_ntg.metrics.neighbours.embed_flows` at two positions, over the
    flows of a class. A pair is left out where its correlation is undefined in `real`. Where it is undefined in
    `synthetic` only, it counts as 0. (SDMetrics' CorrelationSimilarity is one minus half of this; NTG-Bench takes the
    root of the sum of squares over all pairs.)

    Returns:
        As :func:`hf_ntg.metrics.views.open_scores`.
    """
    names, views = view_flows(real, synthetic, max_packets=max_packets)
    points = [embed_flows(view) for view in views]
    scores = {}
    for c in range(len(names)):
        p, q = (_correlations(own[view.classes == c]) for own, view in zip(points, views, strict=True))
        known = np.isfinite(p)
        if views[1].class_counts[c] and known.any():
            scores[c] = float(np.abs(p - np.nan_to_num(q))[known].mean())
    return open_scores(names, scores)


def _features(view: FlowView, times: bool) -> np.ndarray:
    columns = [view.classes[:, None], embed_flows(view)]
    if times:
        gaps = view.flows.padded("inter_arrival_time", view.max_packets, fill=-1)[:, 1:]
        columns.append(np.where(gaps < 0, np.log10(LEAST_TIME) - 1, np.log10(np.maximum(gaps, LEAST_TIME))))
    return np.concatenate(columns, axis=1)


def _some_points(view: FlowView, label: int, rng: np.random.Generator, most: int = 1_000) -> np.ndarray:
    rows = np.flatnonzero(view.classes == label)
    if len(rows) > most:
        rows = rng.choice(rows, most, replace=False)
    return embed_flows(view.take(rows))


def _unbiased_mmd(p: np.ndarray, q: np.ndarray) -> float:
    """Gretton et al. 2012, lemma 6."""
    distances = [pdist(p, "cityblock"), pdist(q, "cityblock"), cdist(p, q, "cityblock")]  # pairs within, between
    width = distances[0].mean() or 1.0
    within_p, within_q, between = (np.exp(-distance / width).mean() for distance in distances)
    return float(within_p + within_q - 2 * between)


def _correlations(points: np.ndarray) -> np.ndarray:
    """Pearson's correlation of every two columns, NaN where one does not vary: (pairs,)."""
    upper = np.triu_indices(points.shape[1], 1)
    if len(points) < 2:
        return np.full(len(upper[0]), np.nan)
    centred = points - points.mean(axis=0)
    spread = np.sqrt((centred**2).mean(axis=0))
    spread[spread < 1e-9] = np.nan
    return (centred.T @ centred / len(points) / np.outer(spread, spread))[upper]


C2ST = MetricInfo(
    name="c2st",
    title="Classifier that tells synthetic from real",
    group="whole",
    unit="AUC",
    range=(0.0, 1.0),
    better="real",
    formula="cross-validated AUC of gradient boosting on class, packets and times; 0.5 is chance",
    source="Lopez-Paz, Oquab, Revisiting classifier two-sample tests, ICLR 2017",
    compute=c2st,
    seeded=True,
)
MMD = MetricInfo(
    name="mmd",
    title="Maximum mean discrepancy",
    group="whole",
    unit="squared",
    range=(-2.0, 2.0),
    better="lower",
    formula="unbiased squared MMD of the flows of a class, Laplacian kernel; unweighted mean over classes",
    source="Gretton, Borgwardt, Rasch, Schölkopf, Smola, A kernel two-sample test, JMLR 13, 2012",
    compute=mmd,
    seeded=True,
)
CORRELATION_DIFFERENCE = MetricInfo(
    name="correlation_difference",
    title="Difference of correlations between packets",
    group="whole",
    unit="correlation",
    range=(0.0, 2.0),
    better="lower",
    formula="mean |difference| of Pearson's correlations of every two packet positions; unweighted mean over classes",
    source="as SDMetrics' CorrelationSimilarity, before it is turned into a score",
    compute=correlation_difference,
)
