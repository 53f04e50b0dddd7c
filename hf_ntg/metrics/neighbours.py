"""Flows as points: how near synthetic flows lie to real ones, whether they cover them, whether they give them away."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from hf_ntg.metrics.info import MetricInfo
from hf_ntg.metrics.membership import attack_success
from hf_ntg.metrics.views import FlowSet, FlowView, cut_to_one_size, row_bytes, view_flows

__all__ = [
    "COVERAGE",
    "MEMBERSHIP_INFERENCE",
    "NEAREST_DISTANCE",
    "coverage",
    "embed_flows",
    "membership_inference",
    "nearest_distance",
    "ratio",
]

_BALL_MEASURES = ("coverage", "precision", "recall", "density")
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


def nearest_distance(real: FlowSet, synthetic: FlowSet, held_out: FlowSet | None = None, max_packets: int = 10) -> dict:
    """Distance of synthetic flows to the nearest training flow of their class (distance to closest record).

    The distance is that of :func:`embed_flows`, over the number of packets: 1 is a full against an empty packet,
    everywhere. Nearer than real held-out flows means copying, farther means strangeness. (SDMetrics' distance to
    closest record divides each column by its range in the real data instead, and compares all pairs.)

    Args:
        real: the flows the generator was trained on.
        held_out: real flows it has not seen; their own distance is returned as ``held_out``.

    Returns:
        ``overall``: mean over all synthetic flows whose class `real` has. ``per_class``: means. ``quantiles``: of all
        flows, at 5, 25, 50, 75 and 95 %. ``unjudged``: classes that `real` lacks. ``held_out``: these of `held_out`,
        and ``ratio``: ``overall`` over its own (None where that is 0), or None both.
    """
    sets = [real, synthetic] if held_out is None else [real, synthetic, held_out]
    names, (train, *asked) = view_flows(*sets, max_packets=max_packets)
    own, other, *_ = [*(_nearness(names, view, _nearest(view, train) / max_packets) for view in asked), None]
    return {**own, "held_out": other, "ratio": ratio(own["overall"], other["overall"]) if other else None}


def _nearness(names: list[str], view: FlowView, distances: np.ndarray) -> dict:
    known = np.isfinite(distances)
    unjudged = [names[c] for c in np.unique(view.classes[~known])]
    if not known.any():
        return {"overall": None, "per_class": {}, "unjudged": unjudged, "reason": "no class is in both sets"}
    return {
        "overall": float(distances[known].mean()),
        "per_class": {names[c]: float(distances[view.classes == c].mean()) for c in np.unique(view.classes[known])},
        "quantiles": np.quantile(distances[known], [0.05, 0.25, 0.5, 0.75, 0.95]).tolist(),
        "unjudged": unjudged,
    }


def ratio(own: float | None, other: float | None) -> float | None:
    """One figure over another, None where there is no such number."""
    return own / other if own is not None and other else None


def membership_inference(real: FlowSet, synthetic: FlowSet, train: FlowSet, max_packets: int = 10) -> dict:
    """How well someone who holds the synthetic flows can tell training flows from other real flows.

    The attack takes a flow for a training flow the nearer its nearest synthetic flow of the class lies, as in
    :func:`nearest_distance`. With flows split by capture, unseen flows lie nearer to other unseen ones than training
    flows do: fresh real flows in the place of synthetic ones then score below 0.5, and that is the fair zero.

    Args:
        real: real flows the generator has not seen. train: those it was trained on.

    Returns:
        As :func:`hf_ntg.metrics.membership.attack_success`, over the classes that all three sets have.
    """
    names, (others, made, members) = view_flows(real, synthetic, train, max_packets=max_packets)
    shared = (members.class_counts > 0) & (others.class_counts > 0) & (made.class_counts > 0)
    if not shared.any():
        return {"overall": None, "per_class": {}, "reason": "no class is in all three sets"}
    members, others = (view.take(shared[view.classes]) for view in (members, others))
    nearness = [-_nearest(view, made) for view in (members, others)]
    return attack_success(names, *nearness, members.classes, others.classes)


def coverage(real: FlowSet, synthetic: FlowSet, max_packets: int = 10, neighbours: int = 5, seed: int = 0) -> dict:
    """Precision, recall, density and coverage by k nearest neighbours (:func:`embed_flows`, classes kept apart).

    Around each flow lies a ball that reaches its k-th nearest neighbour in its own set, or all of its class where that
    has no k others. Both sets are cut to one size (that of the smaller, 3,000 at most, drawn by `seed`), since density
    and coverage depend on it. A ball holds what lies on its rim: prdc leaves that out, so that flows which recur, as
    real ones do, would not cover themselves. Recall rewards strangeness: flows far from all others have wide balls, and
    a set of them may reach more real flows than real flows do. Read it beside precision.

    Returns:
        ``overall``, ``coverage``: share of real flows with a synthetic flow in their ball. ``precision``: share of
        synthetic flows in a real ball. ``recall``: share of real flows in a synthetic ball. ``density``: real balls
        around a synthetic flow, over k; not bounded by 1. ``per_class``: coverage. ``measures``: all four, class by
        class.
    """
    names, views = view_flows(real, synthetic, max_packets=max_packets)
    views = cut_to_one_size(views, seed, most=3_000)
    k = min(neighbours, len(views[0]) - 1)
    if k < 1:
        return {"overall": None, "per_class": {}, "reason": "fewer than 2 flows in a set"}
    found = {c: _balls(*(embed_flows(view.take(view.classes == c)) for view in views), k) for c in range(len(names))}
    whole = {name: np.concatenate([own[name] for own in found.values()]) for name in _BALL_MEASURES}
    by_class = {
        name: {names[c]: float(own[name].mean()) for c, own in found.items() if len(own[name])}
        for name in _BALL_MEASURES
    }
    scores = {name: float(values.mean()) for name, values in whole.items()}
    return {"overall": scores["coverage"], **scores, "per_class": by_class["coverage"], "measures": by_class}


def _balls(real: np.ndarray, made: np.ndarray, k: int) -> dict[str, np.ndarray]:
    """Of the points of one class, (n, D) and (m, D): what each real one (n,) or made one (m,) adds to a measure."""
    if not len(real) or not len(made):
        sizes = (len(real), len(made), len(real), len(made))
        return {name: np.zeros(size) for name, size in zip(_BALL_MEASURES, sizes, strict=True)}
    reach = [
        np.partition(cdist(own, own, "cityblock"), k, axis=1)[:, k] if len(own) > k else np.full(len(own), np.inf)
        for own in (real, made)
    ]
    between = cdist(real, made, "cityblock")
    held = between <= reach[0][:, None]
    return {
        "coverage": held.any(axis=1),
        "precision": held.any(axis=0),
        "recall": (between <= reach[1]).any(axis=1),
        "density": held.sum(axis=0) / k,
    }


def _nearest(asked: FlowView, held: FlowView) -> np.ndarray:
    """(N,) Manhattan distance of each asked flow to the nearest held one of its class, infinite where there is none."""
    points, held_points = embed_flows(asked), embed_flows(held)
    distances = np.full(len(asked), np.inf)
    for label in np.unique(held.classes):
        rows = np.flatnonzero(asked.classes == label)
        if len(rows):
            distances[rows] = _nearest_points(points[rows], held_points[held.classes == label])
    return distances


def _nearest_points(asked: np.ndarray, held: np.ndarray) -> np.ndarray:
    """(n,) Manhattan distance of each of `asked` (n, D) to the nearest of `held`; equal points are asked for once."""
    _, first, place = np.unique(row_bytes(np.concatenate([held, asked])), return_index=True, return_inverse=True)
    known = first < len(held)  # a distinct point is first met in `held`, if it is there
    distinct = np.concatenate([held, asked])[first]
    found = np.zeros(len(first))
    if not known.all():
        found[~known] = KDTree(distinct[known]).query(distinct[~known], p=1)[0]
    return found[place[len(held) :]]


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
