"""Metrics of packet order and timing: directions of successive packets, bursts, autocorrelation."""

from __future__ import annotations

import numpy as np

from hf_ntg.metrics.distance import Sample, has_times, log_times, several_quantities
from hf_ntg.metrics.divergence import total_variation
from hf_ntg.metrics.info import MetricInfo
from hf_ntg.metrics.views import FlowSet, FlowView, bounded_scores, open_scores, view_flows

__all__ = [
    "AUTOCORRELATION_DISTANCE",
    "BURST_DISTANCE",
    "DIRECTION_DISTANCE",
    "autocorrelation_distance",
    "burst_distance",
    "direction_distance",
]

_LAGS = (1, 2, 3)


def direction_distance(real: FlowSet, synthetic: FlowSet, max_packets: int = 10) -> dict:
    """Total variation distance of the pairs of directions of successive packets.

    Returns:
        As :func:`hf_ntg.metrics.views.bounded_scores`, with worst value 1; and for ``real`` and ``synthetic``, class by
        class, ``persistence``: the share of packets with the direction of the one before; ``transitions``: [[up after
        up, down after up], [up after down, down after down]], rows summing to 1 (or 0 where there was no packet).
    """
    names, (p, q) = view_flows(real, synthetic, max_packets=max_packets)
    events, groups = zip(_direction_pairs(p), _direction_pairs(q), strict=True)
    scores = total_variation(events, groups, len(names))
    found = bounded_scores(names, p, q, scores, worst=1.0)
    for key, event, group in zip(("real", "synthetic"), events, groups, strict=True):
        counts = np.bincount(group * 4 + event, minlength=4 * len(names)).reshape(-1, 2, 2)
        shares = counts / np.maximum(counts.sum(axis=2, keepdims=True), 1)
        stays = np.trace(counts, axis1=1, axis2=2) / np.maximum(counts.sum(axis=(1, 2)), 1)
        known = np.flatnonzero(counts.sum(axis=(1, 2)))
        found[key] = {
            "persistence": {names[c]: float(stays[c]) for c in known},
            "transitions": {names[c]: shares[c].tolist() for c in known},
        }
    return found


def burst_distance(real: FlowSet, synthetic: FlowSet, max_packets: int = 10) -> dict:
    """Distance of bursts; a burst is a run of consecutive packets of one direction.

    Returns:
        As :func:`hf_ntg.metrics.distance.several_quantities`, of ``count``, the bursts of a flow; ``packets`` and
        ``bytes`` of a burst; and ``gap``, the time from the packet before a burst to its first packet (base-10
        logarithm of seconds, at least a microsecond), without the first burst of each flow. ``gap`` is left out where a
        set has no times.
    """
    names, views = view_flows(real, synthetic, max_packets=max_packets)
    return several_quantities(names, *(_bursts(view) for view in views))


def autocorrelation_distance(real: FlowSet, synthetic: FlowSet, max_packets: int = 10) -> dict:
    """Mean absolute difference of the autocorrelations, at lags 1 to 3, of signed lengths and of log times.

    The autocorrelation of a class at lag k is Pearson's correlation of the values of packets that are k positions apart
    in a flow, over all flows of the class. Times are left out where a set has none. A lag is left out where either
    correlation is undefined (no variance).

    Returns:
        As :func:`hf_ntg.metrics.views.open_scores`; and for ``real`` and ``synthetic``, under ``signed_length`` and
        ``log_time``, the correlations of each class: one a lag, None where undefined.
    """
    names, views = view_flows(real, synthetic, max_packets=max_packets)
    quantities = ["signed_length"] + ["log_time"] * all(has_times(view) for view in views)
    tables = [
        np.stack([_autocorrelations(view, name) for name in quantities], axis=1) for view in views
    ]  # (K, Q, lags)
    apart = np.abs(tables[0] - tables[1])
    known = np.isfinite(apart)
    scores = {c: float(apart[c][known[c]].mean()) for c in range(len(names)) if known[c].any()}
    found = open_scores(names, scores)
    for key, table in zip(("real", "synthetic"), tables, strict=True):
        plain = table.astype(object)
        plain[~np.isfinite(table)] = None
        found[key] = {name: dict(zip(names, plain[:, q].tolist(), strict=True)) for q, name in enumerate(quantities)}
    return found


def _direction_pairs(view: FlowView) -> tuple[np.ndarray, np.ndarray]:
    """For each packet except a flow's first: 2 * (previous one is downstream) + (it is downstream); and its class."""
    down = (view.flows.direction < 0).astype(np.int64)
    later = np.flatnonzero(view.flows.position > 0)
    return 2 * down[later - 1] + down[later], view.packet_class[later]


def _bursts(view: FlowView) -> dict[str, Sample]:
    """Samples of burst counts, packets, bytes and gaps, each with the classes of its values."""
    flows = view.flows
    turns = np.ones(len(flows.direction), dtype=bool)
    turns[1:] = flows.direction[1:] != flows.direction[:-1]
    starts = np.flatnonzero(turns | (flows.position == 0))
    classes = view.packet_class[starts]
    bursts = {
        "count": (np.bincount(flows.flow_index[starts], minlength=len(view)), view.classes),
        "packets": (np.diff(starts, append=len(turns)), classes),
        "bytes": (np.add.reduceat(flows.payload_length, starts), classes),
    }
    if has_times(view):
        times = np.full(len(turns), np.nan)
        times[flows.position > 0] = log_times(view)[0]
        answers = starts[flows.position[starts] > 0]
        bursts["gap"] = (times[answers], view.packet_class[answers])
    return bursts


def _autocorrelations(view: FlowView, name: str) -> np.ndarray:
    """(classes, lags) correlations, NaN where undefined."""
    flows = view.flows
    if name == "log_time":
        first, values = 1, np.zeros(len(flows.direction))
        values[flows.position > 0] = log_times(view)[0]
    else:
        first, values = 0, flows.signed_length.astype(np.float64)
    table = np.full((view.num_classes, len(_LAGS)), np.nan)
    for column, lag in enumerate(_LAGS):
        later = np.flatnonzero(flows.position >= first + lag)
        table[:, column] = _correlation(values[later - lag], values[later], view.packet_class[later], view.num_classes)
    return table


def _correlation(x: np.ndarray, y: np.ndarray, classes: np.ndarray, num_classes: int) -> np.ndarray:
    """(num_classes,) Pearson's correlation of x and y within each class, NaN where undefined."""

    def within(values: np.ndarray) -> np.ndarray:
        return np.bincount(classes, values, num_classes)

    count = np.maximum(within(np.ones(len(x))), 1)
    x, y = (values - (within(values) / count)[classes] for values in (x, y))
    spread = np.sqrt(within(x * x) * within(y * y))
    defined = spread > 1e-9 * count
    return np.where(defined, within(x * y) / np.where(defined, spread, 1), np.nan)


DIRECTION_DISTANCE = MetricInfo(
    name="direction_distance",
    title="Total variation of direction pairs",
    group="order",
    unit="share",
    range=(0.0, 1.0),
    better="lower",
    formula="half the sum of |P - Q| of the directions of a packet and the next; unweighted mean over classes",
    source="Levin, Peres, Markov Chains and Mixing Times, 2nd edition, 2017, section 4.1",
    compute=direction_distance,
)
BURST_DISTANCE = MetricInfo(
    name="burst_distance",
    title="Distance of bursts",
    group="order",
    unit="KS",
    range=(0.0, 1.0),
    better="lower",
    formula="Kolmogorov-Smirnov statistic of bursts a flow, their packets, bytes, gaps; mean over these, then classes",
    source="Massey, The Kolmogorov-Smirnov test for goodness of fit, JASA 46(253), 1951",
    compute=burst_distance,
)
AUTOCORRELATION_DISTANCE = MetricInfo(
    name="autocorrelation_distance",
    title="Difference of autocorrelations",
    group="order",
    unit="correlation",
    range=(0.0, 2.0),
    better="lower",
    formula="mean |difference| of the autocorrelations of signed length and log time at lags 1 to 3, then over classes",
    source="Lin, Jain, Wang, Fanti, Sekar, Using GANs for sharing networked time series data, IMC 2020",
    compute=autocorrelation_distance,
)
