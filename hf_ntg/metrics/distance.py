"""Distances between two samples of a quantity, class by class: payload lengths, times, sizes of whole flows."""

from __future__ import annotations

import numpy as np
from scipy.stats import wasserstein_distance

from hf_ntg.metrics.info import MetricInfo
from hf_ntg.metrics.views import FlowSet, FlowView, view_flows

__all__ = [
    "FLOW_SIZE_DISTANCE",
    "LEAST_TIME",
    "LENGTH_DISTANCE",
    "TIMING_DISTANCE",
    "flow_size_distance",
    "kolmogorov_smirnov",
    "length_distance",
    "log_times",
    "timing_distance",
]

LEAST_TIME = 1e-6  # seconds: the resolution of a pcap time stamp; shorter times count as this


def length_distance(real: FlowSet, synthetic: FlowSet, max_packets: int = 10) -> dict:
    """Wasserstein-1 distance, in bytes, of the payload lengths of each class.

    Returns:
        ``overall``: unweighted mean over the classes that both sets have. ``per_class``. ``kolmogorov_smirnov``:
        the same two as ``overall`` and ``per_class`` of the Kolmogorov-Smirnov statistic, 0 to 1. ``unjudged``:
        classes that one set lacks, left out: a distance to nothing has no value.
    """
    names, views = view_flows(real, synthetic, max_packets=max_packets)
    samples = [(view.flows.payload_length, view.packet_class) for view in views]
    return _by_class(names, *samples)


def timing_distance(real: FlowSet, synthetic: FlowSet, max_packets: int = 10) -> dict:
    """Wasserstein-1 distance of the base-10 logarithm of inter-arrival time, class by class.

    1 is a factor of ten in time. A flow's first packet has no inter-arrival time and is left out; times under one
    microsecond count as one.

    Returns:
        As :func:`length_distance`; ``overall`` is None, with a ``reason``, where a set has no times.
    """
    names, views = view_flows(real, synthetic, max_packets=max_packets)
    without = [name for name, view in zip(("real", "synthetic"), views, strict=True) if not _has_times(view)]
    if without:
        return {"overall": None, "per_class": {}, "reason": f"no inter_arrival_time in the {without[0]} flows"}
    return _by_class(names, *(log_times(view) for view in views))


def flow_size_distance(real: FlowSet, synthetic: FlowSet, max_packets: int = 10) -> dict:
    """How far apart whole flows are in packets, bytes each way and duration, over their first `max_packets` packets.

    Returns:
        ``overall``: mean of the Kolmogorov-Smirnov statistics of the four quantities, each an unweighted mean over
        classes. ``per_class``: mean of the four. ``quantities``: for each of ``packets``, ``bytes_up``, ``bytes_down``
        and ``duration`` (seconds; left out where a set has no times), the result of a distance as in
        :func:`length_distance`, whose ``overall`` is a Wasserstein-1 distance in the quantity's own unit.
    """
    names, views = view_flows(real, synthetic, max_packets=max_packets)
    sizes = [_sizes(view) for view in views]
    quantities = {
        name: _by_class(names, *((own[name], view.classes) for own, view in zip(sizes, views, strict=True)))
        for name in sizes[0]
        if name in sizes[1]
    }
    statistics = [found["kolmogorov_smirnov"] for found in quantities.values()]
    return {
        "overall": float(np.mean([found["overall"] for found in statistics])),
        "per_class": {
            name: float(np.mean([found["per_class"][name] for found in statistics]))
            for name in statistics[0]["per_class"]
        },
        "quantities": quantities,
        "unjudged": quantities["packets"]["unjudged"],
    }


def log_times(view: FlowView) -> tuple[np.ndarray, np.ndarray]:
    """Base-10 logarithm of the inter-arrival times, first packets left out, and the class of each."""
    later = view.flows.position > 0
    return np.log10(np.maximum(view.flows.inter_arrival_time[later], LEAST_TIME)), view.packet_class[later]


def _has_times(view: FlowView) -> bool:
    return view.flows.inter_arrival_time is not None


def _sizes(view: FlowView) -> dict[str, np.ndarray]:
    flows, n = view.flows, len(view)
    upstream = flows.direction > 0
    sizes = {
        "packets": flows.num_packets,
        "bytes_up": np.bincount(flows.flow_index, flows.payload_length * upstream, n),
        "bytes_down": np.bincount(flows.flow_index, flows.payload_length * ~upstream, n),
    }
    if _has_times(view):
        sizes["duration"] = np.bincount(flows.flow_index, flows.inter_arrival_time * (flows.position > 0), n)
    return sizes


def _by_class(names: list[str], real: tuple[np.ndarray, np.ndarray], synthetic: tuple[np.ndarray, np.ndarray]) -> dict:
    """Wasserstein-1 and Kolmogorov-Smirnov of two (values, classes) samples."""
    samples = [_split(*sample, len(names)) for sample in (real, synthetic)]
    both = [c for c in range(len(names)) if len(samples[0][c]) and len(samples[1][c])]
    if not both:
        return {"overall": None, "per_class": {}, "reason": "no class has values in both sets", "unjudged": names}
    pairs = {names[c]: (samples[0][c], samples[1][c]) for c in both}
    moved = {name: float(wasserstein_distance(*pair)) for name, pair in pairs.items()}
    apart = {name: kolmogorov_smirnov(*pair) for name, pair in pairs.items()}
    return {
        "overall": float(np.mean(list(moved.values()))),
        "per_class": moved,
        "kolmogorov_smirnov": {"overall": float(np.mean(list(apart.values()))), "per_class": apart},
        "unjudged": [name for name in names if name not in pairs],
    }


def kolmogorov_smirnov(one: np.ndarray, other: np.ndarray) -> float:
    """Greatest difference of two empirical distribution functions; scipy's also works out a p-value, at a cost."""
    values = np.concatenate([one, other])
    shares = [np.searchsorted(np.sort(sample), values, side="right") / len(sample) for sample in (one, other)]
    return float(np.abs(shares[0] - shares[1]).max())


def _split(values: np.ndarray, classes: np.ndarray, num_classes: int) -> list[np.ndarray]:
    """The values of each class: a list of num_classes arrays."""
    ends = np.cumsum(np.bincount(classes, minlength=num_classes))
    return np.split(values[np.argsort(classes, kind="stable")], ends[:-1])


_WASSERSTEIN = "scipy.stats.wasserstein_distance; Villani, Optimal Transport, 2009"

LENGTH_DISTANCE = MetricInfo(
    name="length_distance",
    title="Distance of payload lengths",
    unit="bytes",
    range=(0.0, 65_535.0),
    better="lower",
    formula="Wasserstein-1 of the payload lengths of a class; unweighted mean over classes",
    source=_WASSERSTEIN,
    compute=length_distance,
)
TIMING_DISTANCE = MetricInfo(
    name="timing_distance",
    title="Distance of inter-arrival times",
    unit="decades",
    range=(0.0, None),
    better="lower",
    formula="Wasserstein-1 of log10 inter-arrival time of a class, 1 µs at least; unweighted mean over classes",
    source=_WASSERSTEIN,
    compute=timing_distance,
)
FLOW_SIZE_DISTANCE = MetricInfo(
    name="flow_size_distance",
    title="Distance of packets, bytes and duration of flows",
    unit="KS",
    range=(0.0, 1.0),
    better="lower",
    formula="Kolmogorov-Smirnov statistic of packets, bytes up, bytes down, duration; mean over these and over classes",
    source="Massey, The Kolmogorov-Smirnov test for goodness of fit, JASA 46(253), 1951",
    compute=flow_size_distance,
)
