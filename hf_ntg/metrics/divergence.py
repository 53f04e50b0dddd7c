"""Divergences between two sets of flows: by packet position, and of runs of packets."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from hf_ntg.metrics.info import MetricInfo
from hf_ntg.metrics.views import ENDED, FlowSet, FlowView, bounded_scores, view_flows

__all__ = [
    "FLOW_JSD",
    "FLOW_TV",
    "NGRAM_JSD",
    "flow_jsd",
    "flow_tv",
    "hellinger",
    "jensen_shannon",
    "ngram_jsd",
    "total_variation",
]

Pair = Sequence[np.ndarray]
Divergence = Callable[[Pair, Pair, int], np.ndarray]

_DENSE = 1 << 20  # largest table, in cells, that is counted without sorting
_RADIX = 1 << 18  # above every packet symbol: three of them pack into one int64


def flow_jsd(real: FlowSet, synthetic: FlowSet, max_packets: int = 10) -> dict:
    """Jensen-Shannon divergence, in bits, of the packets at each position of each class.

    At position t of class c the random variable is (direction, payload length) of the t-th packet, or "ended" for flows
    with fewer packets; ``JSD(P, Q) = H((P + Q) / 2) - (H(P) + H(Q)) / 2`` with base-2 entropies of the two empirical
    distributions. There is no binning: a length that is one byte off is another symbol. Two finite samples of one
    source do not give 0, so compare with the score of real held-out flows. Each position is scored alone: a set whose
    packets are drawn independently for each position scores as well as whole real flows. :func:`ngram_jsd` and the
    metrics of whole flows see the difference.

    NTG-Bench's score of this name is the square root of the divergence in nats. Its square divided by ln 2 is this
    score.

    Returns:
        As :func:`hf_ntg.metrics.views.bounded_scores`, where a class's score is the mean over positions and the worst
        value is 1 bit; and ``per_position``: unweighted mean over classes; ``per_class_position``.
    """
    names, (p, q) = view_flows(real, synthetic, max_packets=max_packets)
    return _by_position(names, p, q, _position_table(p, q, jensen_shannon))


def flow_tv(real: FlowSet, synthetic: FlowSet, max_packets: int = 10) -> dict:
    """Total variation distance of the packets at each position of each class: half the sum of ``|P - Q|``.

    It is the share of flows that would have to change to make the two distributions equal. Variables and result are
    those of :func:`flow_jsd`.
    """
    names, (p, q) = view_flows(real, synthetic, max_packets=max_packets)
    return _by_position(names, p, q, _position_table(p, q, total_variation))


def ngram_jsd(real: FlowSet, synthetic: FlowSet, max_packets: int = 10) -> dict:
    """Jensen-Shannon divergence, in bits, of the runs of two and of three packets of each class, at any position.

    A packet is its direction and payload length. If a flow ends before `max_packets`, its end is the last symbol.
    A class in which only one side has runs of a length scores 1 for that length.

    Returns:
        As :func:`hf_ntg.metrics.views.bounded_scores`, where a class's score is the mean of both run lengths and the
        worst value is 1 bit; and ``per_length``: the unweighted mean over classes for ``2`` and ``3``.
    """
    names, (p, q) = view_flows(real, synthetic, max_packets=max_packets)
    scores = {length: _run_divergence(p, q, length) for length in (2, 3)}
    judged = [bounded_scores(names, p, q, score, worst=1.0) for score in scores.values()]
    return {
        **bounded_scores(names, p, q, np.mean(list(scores.values()), axis=0), worst=1.0),
        "per_length": {str(length): found["overall"] for length, found in zip(scores, judged, strict=True)},
    }


def jensen_shannon(events: Pair, groups: Pair, num_groups: int) -> np.ndarray:
    """Jensen-Shannon divergence, in bits, of two samples of discrete events within each group: (num_groups,).

    Args:
        events: non-negative event numbers of the two samples, of any two sizes. groups: the group of each event.

    Returns:
        1 for a group that is empty in one sample, 0 for one that is empty in both.
    """
    shares, group = _shares(events, groups, num_groups)
    middle = (shares[0] + shares[1]) / 2
    terms = [np.where(share > 0, share * np.log2(np.maximum(share, 1e-300) / middle), 0.0) / 2 for share in shares]
    return _by_group(terms[0] + terms[1], group, groups, num_groups)


def total_variation(events: Pair, groups: Pair, num_groups: int) -> np.ndarray:
    """Total variation distance of two samples of discrete events within each group, as :func:`jensen_shannon`."""
    shares, group = _shares(events, groups, num_groups)
    return _by_group(np.abs(shares[0] - shares[1]) / 2, group, groups, num_groups)


def hellinger(events: Pair, groups: Pair, num_groups: int) -> np.ndarray:
    """Hellinger distance, ``sqrt(sum((sqrt(P) - sqrt(Q))**2) / 2)``, of two samples, as :func:`jensen_shannon`."""
    shares, group = _shares(events, groups, num_groups)
    return np.sqrt(_by_group((np.sqrt(shares[0]) - np.sqrt(shares[1])) ** 2 / 2, group, groups, num_groups))


def _by_group(terms: np.ndarray, group: np.ndarray, groups: Pair, num_groups: int) -> np.ndarray:
    """The sum of `terms` in each `group`, within 0 and 1; 1 where only one sample has events."""
    sums = np.clip(np.bincount(group, weights=terms, minlength=num_groups), 0.0, 1.0)
    present = [np.bincount(part, minlength=num_groups) > 0 for part in groups]
    return np.where(present[0] != present[1], 1.0, sums)


def _shares(events: Pair, groups: Pair, num_groups: int) -> tuple[list[np.ndarray], np.ndarray]:
    """The share of each distinct event within its group in either sample, and the group it belongs to."""
    width = 1 + max(part.max(initial=0) for part in events)
    packed = [group.astype(np.int64) * width + event for event, group in zip(events, groups, strict=True)]
    if num_groups * width <= _DENSE:
        tables = [np.bincount(part, minlength=num_groups * width) for part in packed]
        keys = np.flatnonzero(tables[0] + tables[1])
        counts = [table[keys] for table in tables]
    else:
        keys, place = np.unique(np.concatenate(packed), return_inverse=True)
        counts = [np.bincount(part, minlength=len(keys)) for part in np.split(place, [len(packed[0])])]
    totals = [np.maximum(np.bincount(group, minlength=num_groups), 1) for group in groups]
    owner = keys // width
    return [count / total[owner] for count, total in zip(counts, totals, strict=True)], owner


def _position_table(p: FlowView, q: FlowView, distance: Divergence) -> np.ndarray:
    """(classes, positions) distances of the packets at each position."""
    width = p.max_packets
    groups = [(view.classes[:, None] * width + np.arange(width)).ravel() for view in (p, q)]
    events = [view.symbols.ravel().astype(np.int64) + 1 for view in (p, q)]
    return distance(events, groups, p.num_classes * width).reshape(p.num_classes, width)


def _by_position(names: list[str], p: FlowView, q: FlowView, table: np.ndarray) -> dict:
    table[q.class_counts == 0] = 1.0
    judged = np.flatnonzero(p.class_counts)
    return {
        **bounded_scores(names, p, q, table.mean(axis=1), worst=1.0),
        "per_position": table[judged].mean(axis=0).tolist(),
        "per_class_position": {names[c]: table[c].tolist() for c in judged},
    }


def _run_divergence(p: FlowView, q: FlowView, length: int) -> np.ndarray:
    """(classes,) divergence of the runs of `length` packets."""
    runs, groups = [], []
    for view in (p, q):
        symbols = np.pad(view.symbols, ((0, 0), (0, max(length - view.max_packets, 0))), constant_values=ENDED)
        windows = sliding_window_view(symbols, length, axis=1)  # (N, W - length + 1, length)
        whole = (windows[:, :, :-1] != ENDED).all(axis=2)
        runs.append((windows[whole].astype(np.int64) + 1) @ _RADIX ** np.arange(length))
        groups.append(np.repeat(view.classes, whole.sum(axis=1)))
    _, events = np.unique(np.concatenate(runs), return_inverse=True)
    return jensen_shannon(np.split(events, [len(runs[0])]), groups, p.num_classes)


_LIN = "Lin, Divergence measures based on the Shannon entropy, IEEE Trans. Inf. Theory 37(1), 1991"

FLOW_JSD = MetricInfo(
    name="flow_jsd",
    title="Jensen-Shannon divergence of packets",
    group="packets",
    unit="bits",
    range=(0.0, 1.0),
    better="lower",
    formula="JSD of (direction, payload length, or ended) at each packet position; mean over positions, then classes",
    source=_LIN,
    compute=flow_jsd,
)
FLOW_TV = MetricInfo(
    name="flow_tv",
    title="Total variation of packets",
    group="packets",
    unit="share",
    range=(0.0, 1.0),
    better="lower",
    formula="half the sum of |P - Q| at each packet position; events and means as for the divergence",
    source="Levin, Peres, Markov Chains and Mixing Times, 2nd edition, 2017, section 4.1",
    compute=flow_tv,
)
NGRAM_JSD = MetricInfo(
    name="ngram_jsd",
    title="Jensen-Shannon divergence of packet runs",
    group="order",
    unit="bits",
    range=(0.0, 1.0),
    better="lower",
    formula="JSD of the runs of 2 and of 3 packets of a class; mean of both, then unweighted mean over classes",
    source=_LIN,
    compute=ngram_jsd,
)
