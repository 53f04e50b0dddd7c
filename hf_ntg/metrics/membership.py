"""Membership inference: the success of an attack, and the attack based on a model's likelihoods."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve

from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.metrics.info import MetricInfo
from hf_ntg.metrics.views import FlowSet, FlowView, of_known_captures, pair_by_class, view_flows
from hf_ntg.models.baselines import NGram

__all__ = [
    "LIKELIHOOD_MEMBERSHIP",
    "OTHER_CAPTURES",
    "Scorer",
    "attack_success",
    "likelihood_membership",
    "unseen_of_shared_classes",
]

Scorer = Callable[[FlowArrays], np.ndarray]

OTHER_CAPTURES = "no unseen flow comes from a capture of the training flows; hold some of their flows back"
_REFERENCE_ORDER = 2


def attack_success(
    names: list[str], members: np.ndarray, others: np.ndarray, member_classes: np.ndarray, other_classes: np.ndarray
) -> dict:
    """Success of an attack that classifies flows with a high score as training flows.

    Args:
        members, others: (N,), (M,) scores of training flows and of other real flows.
        member_classes, other_classes: (N,), (M,) the class of each, an index in `names`.

    Returns:
        ``overall``: area under the ROC curve, ties counted half; 0.5 is chance. ``tpr_at_1_percent_fpr``: true positive
        rate at a false positive rate of 1 %, by linear interpolation between the curve's points.
        ``per_class``: the area, for classes with flows of both kinds. ``flows``: how many of each kind.
    """
    is_member = np.repeat([1, 0], [len(members), len(others)])
    scores, classes = np.concatenate([members, others]), np.concatenate([member_classes, other_classes])
    wrong, right, _ = roc_curve(is_member, scores)
    rows = {c: classes == c for c in np.intersect1d(member_classes, other_classes)}
    return {
        "overall": float(roc_auc_score(is_member, scores)),
        "tpr_at_1_percent_fpr": float(np.interp(0.01, wrong, right)),
        "per_class": {names[c]: float(roc_auc_score(is_member[own], scores[own])) for c, own in rows.items()},
        "flows": [len(members), len(others)],
    }


def likelihood_membership(
    real: FlowSet,
    train: FlowSet,
    log_likelihood: Scorer,
    reference: Scorer | None = None,
    max_packets: int = 10,
    seed: int = 0,
) -> dict:
    """How well an attacker with access to a model's likelihoods can tell its training flows from other real flows.

    The attack classifies a flow as a training flow if the model finds it likely. The calibrated attack subtracts the
    log-likelihood under a reference that has not learned from the training flows. This removes the effect of flows that
    are likely under any model. Without a `reference`, a 2-gram is fitted to half of the unseen flows, drawn by `seed`,
    and the attack uses only the other half.

    Both sides must come from the same captures: a flow of another capture is less likely under any model. Where both
    sides name their captures, flows of captures that `train` lacks are therefore left out. The two sides that are
    compared have the same number of flows of each class, drawn by `seed`.

    Args:
        real: real flows that the model has not seen. train: those that it was trained on.
        log_likelihood: maps N flows to (N,) natural logarithms, as ``log_likelihood`` of a causal ``FlowGenerator``
            and of an n-gram do.

    Returns:
        As :func:`attack_success`, over the classes that both sets have; ``calibrated``: the same of the calibrated
        attack. ``overall`` is None, with a ``reason``, where there are no unseen flows to compare with.
    """
    names, views = view_flows(train, real, max_packets=max_packets)
    others, reason = unseen_of_shared_classes(views[1], views[0])
    if reason:
        return {"overall": None, "per_class": {}, "reason": reason}
    if reference is None:
        order = np.random.default_rng(seed).permutation(len(others))
        fitted = NGram(_REFERENCE_ORDER).fit(others.flows.take(order[1::2]), max_packets)
        reference, others = fitted.log_likelihood, others.take(np.sort(order[::2]))
    asked = pair_by_class(views[0], others, seed)
    own, expected = ([scorer(view.flows) for view in asked] for scorer in (log_likelihood, reference))
    beyond = [score - baseline for score, baseline in zip(own, expected, strict=True)]
    classes = [view.classes for view in asked]
    return {**attack_success(names, *own, *classes), "calibrated": attack_success(names, *beyond, *classes)}


def unseen_of_shared_classes(unseen: FlowView, *others: FlowView) -> tuple[FlowView, str]:
    """The flows of `unseen` that an attack may use, and the reason if there are too few ("" if there are enough).

    Kept are flows of the captures of ``others[0]``, the training flows, and of the classes that all views have.
    """
    of_captures = of_known_captures(unseen, others[0])
    if not len(of_captures):
        return of_captures, OTHER_CAPTURES
    shared = np.all([view.class_counts > 0 for view in others], axis=0)
    kept = of_captures.take(shared[of_captures.classes])
    return kept, "" if len(kept) > 1 else "fewer than 2 unseen flows of the classes of the other sets"


LIKELIHOOD_MEMBERSHIP = MetricInfo(
    name="likelihood_membership",
    title="Membership inference by likelihood",
    group="novelty",
    unit="AUC",
    range=(0.0, 1.0),
    better="real",
    formula="AUC of naming training flows, against unseen flows of the same captures, by the model's log-likelihood",
    source="Yeom et al., CSF 2018; calibrated: Watson et al., ICLR 2022; TPR at 1 % FPR: Carlini et al., S&P 2022",
    compute=likelihood_membership,
    seeded=True,
)
