"""Metrics based on distances between flows: nearest training flow, coverage, membership inference."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from hf_ntg.constants import MAX_SEGMENT
from hf_ntg.metrics.info import MetricInfo
from hf_ntg.metrics.membership import attack_success, unseen_of_shared_classes
from hf_ntg.metrics.views import FlowSet, FlowView, cut_to_one_size, pair_by_class, row_bytes, view_flows

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
_TYPICAL = MAX_SEGMENT  # bytes: a full packet


def embed_flows(view: FlowView) -> np.ndarray:
    """Flows as points: (N, max_packets) float64, 0 where a flow has ended.

    A packet becomes ``direction * (1 + sqrt(payload / 1460))``: an empty packet 1, a full one 2, downstream negative.
    The square root spreads small payloads out. The Manhattan distance of two flows is a sum over packets.
    """
    flows = view.flows
    points = np.zeros((len(view), view.max_packets))
    points[flows.flow_index, flows.position] = flows.direction * (1 + np.sqrt(flows.payload_length / _TYPICAL))
    return points


def nearest_distance(real: FlowSet, synthetic: FlowSet, held_out: FlowSet | None = None, max_packets: int = 10) -> dict:
    """Distance of synthetic flows to the nearest training flow of their class (distance to closest record).

    The distance is the Manhattan distance of :func:`embed_flows` divided by the number of packets. It is 1 if every
    position has a full packet in place of an empty one. Flows that are nearer than real held-out flows are likely
    copies; flows that are farther are unlike real ones. (SDMetrics' distance to closest record divides each column by
    its range in the real data instead, and compares all pairs.)

    Args:
        real: the flows that the generator was trained on.
        held_out: real flows that it has not seen; their own distance is returned as ``held_out``.

    Returns:
        ``overall``: mean over all synthetic flows whose class `real` has. ``per_class``: means. ``quantiles``: of all
        flows, at 5, 25, 50, 75 and 95 %. ``unjudged``: classes that `real` lacks. ``held_out``: the same for
        `held_out`, and ``ratio``: ``overall`` divided by that of `held_out` (None where it is 0); both None without it.
    """
    sets = [real, synthetic] if held_out is None else [real, synthetic, held_out]
    names, (train, *asked) = view_flows(*sets, max_packets=max_packets)
    own, *rest = (_nearness(names, view, _nearest(view, train) / max_packets) for view in asked)
    other = rest[0] if rest else None
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
    """``own / other``, None where either is unknown or `other` is 0."""
    return own / other if own is not None and other else None


def membership_inference(
    real: FlowSet, synthetic: FlowSet, train: FlowSet, max_packets: int = 10, seed: int = 0
) -> dict:
    """How well an attacker who has the synthetic flows can tell training flows from other real flows.

    The attack classifies a flow as a training flow if the nearest synthetic flow of its class is near, by the distance
    of :func:`nearest_distance`.

    Both sides must come from the same captures: flows of another capture are farther from the synthetic flows whatever
    the generator has memorised. Where both sides name their captures, flows of captures that `train` lacks are
    therefore left out. The two sides that are compared have the same number of flows of each class, drawn by `seed`.

    Args:
        real: real flows that the generator has not seen. train: those that it was trained on.

    Returns:
        As :func:`hf_ntg.metrics.membership.attack_success`, over the classes that all three sets have. ``overall`` is
        None, with a ``reason``, where there are no unseen flows to compare with.
    """
    names, (unseen, made, members) = view_flows(real, synthetic, train, max_packets=max_packets)
    others, reason = unseen_of_shared_classes(unseen, members, made)
    if reason:
        return {"overall": None, "per_class": {}, "reason": reason}
    members, others = pair_by_class(members, others, seed)
    return attack_success(names, -_nearest(members, made), -_nearest(others, made), members.classes, others.classes)


def coverage(real: FlowSet, synthetic: FlowSet, max_packets: int = 10, neighbours: int = 5, seed: int = 0) -> dict:
    """Precision, recall, density and coverage by k nearest neighbours (:func:`embed_flows`, classes kept apart).

    Each flow has a ball whose radius is the distance to its k-th nearest neighbour of its own class and set; in a class
    of k flows or fewer, to the farthest. A flow that is alone in its class has a ball of radius 0, which holds its
    copies. Both sets are cut to one size (that of the smaller, 3,000 at most, drawn by `seed`), since density and
    coverage depend on it. A ball includes its boundary. (prdc excludes it, so that recurring flows, which real traffic
    has, would not cover themselves.) Recall is high for sets of outliers too: flows that are far from all others have
    large balls. Read it together with precision.

    Returns:
        ``overall``, ``coverage``: share of real flows with a synthetic flow in their ball. ``precision``: share of
        synthetic flows in a real ball. ``recall``: share of real flows in a synthetic ball. ``density``: real balls
        around a synthetic flow, divided by k; not bounded by 1. ``per_class``: coverage. ``measures``: all four, class
        by class.
    """
    names, views = view_flows(real, synthetic, max_packets=max_packets)
    own, made = cut_to_one_size(views, seed, most=3_000)
    k = min(neighbours, len(own) - 1)
    if k < 1:
        return {"overall": None, "per_class": {}, "reason": "fewer than 2 flows in a set"}
    found = {
        c: _balls(embed_flows(own.take(own.classes == c)), embed_flows(made.take(made.classes == c)), k)
        for c in range(len(names))
    }
    whole = {name: np.concatenate([balls[name] for balls in found.values()]) for name in _BALL_MEASURES}
    by_class = {
        name: {names[c]: float(balls[name].mean()) for c, balls in found.items() if len(balls[name])}
        for name in _BALL_MEASURES
    }
    scores = {name: float(values.mean()) for name, values in whole.items()}
    return {"overall": scores["coverage"], **scores, "per_class": by_class["coverage"], "measures": by_class}


def _balls(real: np.ndarray, made: np.ndarray, k: int) -> dict[str, np.ndarray]:
    """What each real point (n, D) and each synthetic point (m, D) of one class adds to a measure: (n,) or (m,)."""
    if not len(real) or not len(made):
        sizes = (len(real), len(made), len(real), len(made))
        return {name: np.zeros(size) for name, size in zip(_BALL_MEASURES, sizes, strict=True)}
    real_radius, made_radius = (_radius(own, k) for own in (real, made))
    between = cdist(real, made, "cityblock")
    held = between <= real_radius[:, None]
    return {
        "coverage": held.any(axis=1),
        "precision": held.any(axis=0),
        "recall": (between <= made_radius).any(axis=1),
        "density": held.sum(axis=0) / k,
    }


def _radius(points: np.ndarray, k: int) -> np.ndarray:
    """(n,) distance of each point to its k-th nearest other one, or to the farthest if there are fewer than k."""
    k = min(k, len(points) - 1)
    return np.partition(cdist(points, points, "cityblock"), k, axis=1)[:, k]


def _nearest(asked: FlowView, held: FlowView) -> np.ndarray:
    """(N,) Manhattan distance of each asked flow to the nearest held flow of its class; infinite if there is none."""
    points, held_points = embed_flows(asked), embed_flows(held)
    distances = np.full(len(asked), np.inf)
    for label in np.unique(held.classes):
        rows = np.flatnonzero(asked.classes == label)
        if len(rows):
            distances[rows] = _nearest_points(points[rows], held_points[held.classes == label])
    return distances


def _nearest_points(asked: np.ndarray, held: np.ndarray) -> np.ndarray:
    """(n,) Manhattan distance of each of `asked` (n, D) to the nearest of `held`; equal points are looked up once."""
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
    formula="AUC of naming training flows, against unseen flows of the same captures, by nearness to a synthetic flow",
    source="Chen, Yu, Zhang, Fritz, GAN-Leaks, CCS 2020 (black-box attack); Carlini et al., S&P 2022 (TPR at 1 % FPR)",
    compute=membership_inference,
    needs_train=True,
    seeded=True,
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
