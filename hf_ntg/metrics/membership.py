"""Whether a generator gives its training flows away: how an attack is scored, and the one by a model's likelihoods."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve

from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.metrics.info import MetricInfo
from hf_ntg.metrics.views import FlowSet, view_flows
from hf_ntg.models.baselines import NGram

__all__ = ["LIKELIHOOD_MEMBERSHIP", "Scorer", "attack_success", "likelihood_membership"]

Scorer = Callable[[FlowArrays], np.ndarray]

_REFERENCE_ORDER = 2


def attack_success(
    names: list[str], members: np.ndarray, others: np.ndarray, member_classes: np.ndarray, other_classes: np.ndarray
) -> dict:
    """Success of an attack that names those with a high score.

    Args:
        members, others: (N,), (M,) scores of training flows and of other real flows.
        member_classes, other_classes: (N,), (M,) the class of each, a place in `names`.

    Returns:
        ``overall``: area under the ROC curve, ties counted half; 0.5 is chance. ``tpr_at_1_percent_fpr``: share of the
        training flows named when 1 % of the others are named wrongly, on the straight line between the curve's points.
        ``per_class``: the area, for classes with flows of both kinds.
    """
    is_member = np.repeat([1, 0], [len(members), len(others)])
    scores, classes = np.concatenate([members, others]), np.concatenate([member_classes, other_classes])
    wrong, right, _ = roc_curve(is_member, scores)
    rows = {c: classes == c for c in np.intersect1d(member_classes, other_classes)}
    return {
        "overall": float(roc_auc_score(is_member, scores)),
        "tpr_at_1_percent_fpr": float(np.interp(0.01, wrong, right)),
        "per_class": {names[c]: float(roc_auc_score(is_member[own], scores[own])) for c, own in rows.items()},
    }


def likelihood_membership(
    real: FlowSet,
    train: FlowSet,
    log_likelihood: Scorer,
    reference: Scorer | None = None,
    max_packets: int = 10,
    seed: int = 0,
) -> dict:
    """How well someone who can ask a model for likelihoods can tell its training flows from other real flows.

    The attack takes a flow for a training flow the more likely the model holds it to be; calibrated, the more likely
    than a reference that has not learned from the training flows holds it to be, which asks what the model knows beyond
    what is easy about a flow. Without a `reference`, half of the unseen flows, drawn by `seed`, teach a 2-gram, and
    only the other half are asked about.

    Args:
        real: real flows that the model has not seen. train: those that it was trained on.
        log_likelihood: gives (N,) for N flows, as the ``log_likelihood`` of a causal model's ``FlowGenerator`` and that
            of an n-gram do.

    Returns:
        As :func:`attack_success`, over the classes that both sets have; ``calibrated``: the same of the calibrated
        attack. Chance is a fair zero only for flows split at random. Flows of captures that were not trained on are
        less likely under any model, and the more likely to a reference that has seen others of their captures: with a
        split by capture both areas say how far captures differ, and more so the calibrated one.
    """
    names, (members, others) = view_flows(train, real, max_packets=max_packets)
    shared = (members.class_counts > 0) & (others.class_counts > 0)
    members, others = (view.take(shared[view.classes]) for view in (members, others))
    if len(others) < 2:
        return {"overall": None, "per_class": {}, "reason": "fewer than 2 unseen flows of the classes trained on"}
    if reference is None:
        order = np.random.default_rng(seed).permutation(len(others))
        reference = NGram(_REFERENCE_ORDER).fit(others.flows.take(order[1::2]), max_packets).log_likelihood
        others = others.take(order[::2])
    asked = (members, others)
    told, known = ([scorer(view.flows) for view in asked] for scorer in (log_likelihood, reference))
    beyond = [own - expected for own, expected in zip(told, known, strict=True)]
    classes = [view.classes for view in asked]
    return {**attack_success(names, *told, *classes), "calibrated": attack_success(names, *beyond, *classes)}


LIKELIHOOD_MEMBERSHIP = MetricInfo(
    name="likelihood_membership",
    title="Membership inference by likelihood",
    group="novelty",
    unit="AUC",
    range=(0.0, 1.0),
    better="real",
    formula="AUC of naming training flows, against unseen real flows, by the model's log-likelihood",
    source="Yeom et al., CSF 2018; calibrated: Watson et al., ICLR 2022; TPR at 1 % FPR: Carlini et al., S&P 2022",
    compute=likelihood_membership,
)
