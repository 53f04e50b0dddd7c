"""Flows as points: how near synthetic flows lie to real ones, whether they cover them, whether they give them away."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist
from sklearn.metrics import roc_auc_score, roc_curve

from hf_ntg.metrics.info import MetricInfo
from hf_ntg.metrics.views import FlowSet, FlowView, cut_to_one_size, view_flows

__all__ = [
    "COVERAGE",
    "MEMBERSHIP_INFERENCE",
    "NEAREST_DISTANCE",
    "coverage",
    "embed_flows",
    "membership_inference",
    "nearest_distance",
]

_APART = 1e6
_TYPICAL = 1460  # bytes: a full packet


def embed_flows(view: FlowView) -> np.ndarray:
    """Flows as points: (N, max_packets) float64, 0 where a flow has ended.

    A packet becomes ``direction * (1 + sqrt(payload / 1460))``: an empty packet 1, a full one 2, downstream negative.
    The square root keeps small payloads apart. The Manhattan distance of two flows is the sum over packets.
    """
    flows = view.flows
    points = np.zeros((len(view), view.max_packets))
    points[flows.flow_index, flows.position] = flows.direction * (1 + np.sqrt(flows.payload_length / _TYPICAL))
    return points


def nearest_distance(real: FlowSet, synthetic: FlowSet, max_packets: int = 10) -> dict:
    """Distance of synthetic flows to the nearest training flow of their class (distance to closest record).

    The distance is that of :func:`embed_flows`, over the number of packets: 1 is a full against an empty packet,
    everywhere. Nearer than real held-out flows means copying, farther means strangeness.

    Args:
        real: the flows the generator was trained on.

    Returns:
        ``overall``: mean over all synthetic flows whose class `real` has. ``per_class``: means. ``quantiles``: of all
        flows, at 5, 25, 50, 75 and 95 %. ``unjudged``: classes that `real` lacks.
    """
    names, (train, made) = view_flows(real, synthetic, max_packets=max_packets)
    distances = _nearest(made, train) / max_packets
    known = np.isfinite(distances)
    judged = np.unique(made.classes[known])
    if not known.any():
        return {"overall": None, "per_class": {}, "unjudged": names, "reason": "no class is in both sets"}
    return {
        "overall": float(distances[known].mean()),
        "per_class": {names[c]: float(distances[made.classes == c].mean()) for c in judged},
        "quantiles": np.quantile(distances[known], [0.05, 0.25, 0.5, 0.75, 0.95]).tolist(),
        "unjudged": [names[c] for c in np.unique(made.classes[~known])],
    }


def membership_inference(real: FlowSet, synthetic: FlowSet, train: FlowSet, max_packets: int = 10) -> dict:
    """How well someone who holds the synthetic flows can tell training flows from other real flows.

    The attack takes a flow for a training flow the nearer its nearest synthetic flow of the class lies, as in
    :func:`nearest_distance`.

    Args:
        real: real flows the generator has not seen. train: those it was trained on.

    Returns:
        ``overall``: area under the ROC curve; 0.5 is chance. ``tpr_at_1_percent_fpr``: share of training flows named
        when 1 % of the others are named wrongly. Only flows of classes that all three sets have are asked about.
    """
    _, (others, made, members) = view_flows(real, synthetic, train, max_packets=max_packets)
    near = [_nearest(view, made) for view in (members, others)]
    shared = (members.class_counts > 0) & (others.class_counts > 0) & (made.class_counts > 0)
    near = [distance[shared[view.classes]] for distance, view in zip(near, (members, others), strict=True)]
    if not shared.any():
        return {"overall": None, "per_class": {}, "reason": "no class is in all three sets"}
    is_member = np.repeat([1, 0], [len(distance) for distance in near])
    nearness = -np.concatenate(near)
    wrong, right, _ = roc_curve(is_member, nearness)
    return {
        "overall": float(roc_auc_score(is_member, nearness)),
        "tpr_at_1_percent_fpr": float(np.interp(0.01, wrong, right)),
        "per_class": {},
    }


def coverage(real: FlowSet, synthetic: FlowSet, max_packets: int = 10, neighbours: int = 5, seed: int = 0) -> dict:
    """Precision, recall, density and coverage by k nearest neighbours (:func:`embed_flows`, classes kept apart).

    Around each flow lies a ball that reaches its k-th nearest neighbour in its own set, or all of its class where that
    has no k others. Both sets are cut to one size (that of the smaller, 3,000 at most, drawn by `seed`), since density
    and coverage depend on it.

    Returns:
        ``overall``, ``coverage``: share of real flows with a synthetic flow in their ball. ``precision``: share of
        synthetic flows in a real ball. ``recall``: share of real flows in a synthetic ball. ``density``: real balls
        around a synthetic flow, over k; not bounded by 1. ``per_class``: coverage.
    """
    names, views = view_flows(real, synthetic, max_packets=max_packets)
    views = cut_to_one_size(views, seed, most=3_000)
    k = min(neighbours, len(views[0]) - 1)
    if k < 1:
        return {"overall": None, "per_class": {}, "reason": "fewer than 2 flows in a set"}
    real_reach, made_reach = (
        np.minimum(np.partition(_distances(view, view), k, axis=1)[:, k], _APART / 2) for view in views
    )
    between = _distances(*views)  # (real, synthetic)
    covered = between.min(axis=1) <= real_reach
    return {
        "overall": float(covered.mean()),
        "coverage": float(covered.mean()),
        "precision": float((between <= real_reach[:, None]).any(axis=0).mean()),
        "recall": float((between <= made_reach).any(axis=1).mean()),
        "density": float((between <= real_reach[:, None]).sum(axis=0).mean() / k),
        "per_class": {names[c]: float(covered[views[0].classes == c].mean()) for c in np.unique(views[0].classes)},
    }


def _distances(one: FlowView, other: FlowView) -> np.ndarray:
    """(N, M) Manhattan distances; flows of different classes lie `_APART`, which no ball reaches across."""
    return np.where(
        one.classes[:, None] == other.classes, cdist(embed_flows(one), embed_flows(other), "cityblock"), _APART
    )


def _nearest(asked: FlowView, held: FlowView) -> np.ndarray:
    """(N,) Manhattan distance of each asked flow to the nearest held one of its class, infinite where there is none."""
    points, held_points = embed_flows(asked), embed_flows(held)
    distances = np.full(len(asked), np.inf)
    for label in np.unique(held.classes):
        rows = np.flatnonzero(asked.classes == label)
        tree = KDTree(np.unique(held_points[held.classes == label], axis=0))
        distinct, place = np.unique(points[rows], axis=0, return_inverse=True)
        distances[rows] = tree.query(distinct, p=1)[0][place.ravel()] if len(rows) else []
    return distances


NEAREST_DISTANCE = MetricInfo(
    name="nearest_distance",
    title="Distance to the nearest training flow",
    group="novelty",
    unit="per packet",
    range=(0.0, None),
    better="real",
    formula="mean Manhattan distance to the nearest training flow of the class, over the number of packets",
    source="distance to closest record: Zhao, Kunar, Birke, Chen, CTAB-GAN, ACML 2021; SDMetrics DCR",
    compute=nearest_distance,
    against="train",
)
MEMBERSHIP_INFERENCE = MetricInfo(
    name="membership_inference",
    title="Membership inference by distance",
    group="novelty",
    unit="AUC",
    range=(0.0, 1.0),
    better="real",
    formula="AUC of naming training flows, against unseen real flows, by nearness to the closest synthetic flow",
    source="Chen, Yu, Zhang, Fritz, GAN-Leaks, CCS 2020 (black-box attack); Carlini et al., S&P 2022 (TPR at 1 % FPR)",
    compute=membership_inference,
    needs_train=True,
)
COVERAGE = MetricInfo(
    name="coverage",
    title="Coverage of real flows",
    group="whole",
    unit="share",
    range=(0.0, 1.0),
    better="higher",
    formula="share of real flows with a synthetic flow of the class within their 5th nearest real neighbour",
    source="Naeem, Oh, Uh, Choi, Yoo, Reliable fidelity and diversity metrics for generative models, ICML 2020",
    compute=coverage,
    seeded=True,
)
