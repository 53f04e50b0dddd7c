"""How far apart two sets of flows are, packet position by packet position."""

from __future__ import annotations

import numpy as np

from hf_ntg.metrics.info import MetricInfo
from hf_ntg.metrics.views import FlowSet, FlowView, view_flows

__all__ = ["FLOW_JSD", "flow_jsd", "jensen_shannon"]


def flow_jsd(real: FlowSet, synthetic: FlowSet, max_packets: int = 10) -> dict:
    """Jensen-Shannon divergence, in bits, of what stands at each packet position of each class.

    At position t of class c the random variable is (direction, payload length) of the t-th packet, or "ended" for flows
    with fewer packets; ``JSD(P, Q) = H((P + Q) / 2) - (H(P) + H(Q)) / 2`` with base-2 entropies of the two empirical
    distributions. No binning: a length one byte off is another symbol. Two finite samples of one source do not give 0,
    so compare with the figure of real held-out flows.

    Returns:
        ``overall``: mean over positions, then unweighted mean over the classes of `real`. ``weighted``: the same with
        each class weighted by its share of `real`. ``per_class``: mean over positions. ``per_position``: unweighted
        mean over classes. ``per_class_position``. ``missing``: classes of `real` that `synthetic` lacks, scored 1 bit.
        ``unjudged``: classes of `synthetic` that `real` lacks, left out.
    """
    names, (p, q) = view_flows(real, synthetic, max_packets=max_packets)
    table = _position_jsd(p, q)  # (classes, positions)
    judged = p.class_counts > 0
    missing = judged & (q.class_counts == 0)
    table[missing] = 1.0
    per_class = table.mean(axis=1)
    return {
        "overall": float(per_class[judged].mean()),
        "weighted": float(np.average(per_class, weights=p.class_counts)),
        "per_class": {names[c]: float(per_class[c]) for c in np.flatnonzero(judged)},
        "per_position": table[judged].mean(axis=0).tolist(),
        "per_class_position": {names[c]: table[c].tolist() for c in np.flatnonzero(judged)},
        "missing": [names[c] for c in np.flatnonzero(missing)],
        "unjudged": [names[c] for c in np.flatnonzero(~judged)],
    }


def jensen_shannon(
    p_events: np.ndarray, q_events: np.ndarray, p_groups: np.ndarray, q_groups: np.ndarray, num_groups: int
) -> np.ndarray:
    """Jensen-Shannon divergence, in bits, of two samples of discrete events within each group: (num_groups,).

    Args:
        p_events, q_events: non-negative event numbers of the two samples, of any two sizes.
        p_groups, q_groups: the group each event belongs to. A group empty on one side gives 1/2, on both sides 0.
    """
    width = 1 + max(p_events.max(initial=0), q_events.max(initial=0))
    keys, place = np.unique(
        np.concatenate([p_groups * width + p_events, q_groups * width + q_events]), return_inverse=True
    )
    group = keys // width
    shares = []
    for part, groups in ((place[: len(p_events)], p_groups), (place[len(p_events) :], q_groups)):
        total = np.bincount(groups, minlength=num_groups)
        shares.append(np.bincount(part, minlength=len(keys)) / np.maximum(total, 1)[group])
    middle = (shares[0] + shares[1]) / 2
    terms = sum(np.where(share > 0, share * np.log2(np.maximum(share, 1e-300) / middle), 0.0) / 2 for share in shares)
    return np.maximum(np.bincount(group, weights=terms, minlength=num_groups), 0.0)


def _position_jsd(p: FlowView, q: FlowView) -> np.ndarray:
    """(classes, positions) divergences."""
    width = p.max_packets
    groups = [(view.classes[:, None] * width + np.arange(width)).ravel() for view in (p, q)]
    events = [view.symbols.ravel().astype(np.int64) + 1 for view in (p, q)]
    return jensen_shannon(*events, *groups, p.num_classes * width).reshape(p.num_classes, width)


FLOW_JSD = MetricInfo(
    name="flow_jsd",
    title="Jensen-Shannon divergence of packets",
    unit="bits",
    range=(0.0, 1.0),
    better="lower",
    formula="JSD of (direction, payload length, or ended) at each packet position; mean over positions, then classes",
    source="Lin, Divergence measures based on the Shannon entropy, IEEE Trans. Inf. Theory 37(1), 1991",
    compute=flow_jsd,
)
