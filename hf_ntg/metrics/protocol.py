"""Validity: whether flows follow the rules of TCP and UDP."""

from __future__ import annotations

import numpy as np

from hf_ntg.flows.schema import MAX_DATAGRAM, MAX_SEGMENT, TCP, UDP
from hf_ntg.metrics.info import MetricInfo
from hf_ntg.metrics.views import FlowSet, FlowView, view_flows

__all__ = ["VALIDITY", "check_flows", "validity"]


def validity(real: FlowSet, synthetic: FlowSet, max_packets: int = 10) -> dict:
    """Share of synthetic flows that pass every check of :func:`check_flows`.

    Flows of real captures fail too: they began before the capture, have packets joined by segmentation offload, or have
    retransmissions. The result therefore also holds the same shares of `real`.

    Returns:
        ``overall``, ``per_class``; ``checks``: for each check, the share that passes among the flows it applies to
        (None where there are none); ``real``: these three for `real`. ``overall`` is None for a set without protocols.
    """
    names, views = view_flows(real, synthetic, max_packets=max_packets)
    of_real, of_made = (_shares(names, view) for view in views)
    return {**of_made, "real": of_real}


def check_flows(view: FlowView) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """For each check, two (N,) bool arrays: the flows that pass, and those that the check applies to.

    ``handshake``: a TCP flow of three packets or more begins with an empty packet up, an empty one down, one up.
    ``segment_size``: no TCP payload is over 1,460 bytes. ``datagram_size``: no UDP payload is over 1,472 bytes.
    ``empty_run``: no TCP side sends more than two empty packets in a row. ``times``: times are finite and not negative,
    and the first is 0. The checks of empty packets apply to no flow in the packet view ``payload``.
    """
    flows = view.flows
    protocol = np.asarray(flows.protocol)
    tcp, udp = protocol == TCP, protocol == UDP
    whole = tcp & (flows.view != "payload")  # flows with their empty packets
    symbols = flows.padded("packet_symbol", max(view.max_packets, 3), fill=-1)  # 0: empty, up; 1: empty, down
    opens = (symbols[:, 0] == 0) & (symbols[:, 1] == 1) & (symbols[:, 2] % 2 == 0)
    empty = (symbols == 0) | (symbols == 1)
    runs = empty[:, 2:] & (symbols[:, 2:] == symbols[:, 1:-1]) & (symbols[:, 1:-1] == symbols[:, :-2])
    longest = np.maximum.reduceat(flows.payload_length, flows.offsets[:-1])
    checks = {
        "handshake": (opens, whole & (flows.num_packets >= 3)),
        "segment_size": (longest <= MAX_SEGMENT, tcp),
        "datagram_size": (longest <= MAX_DATAGRAM, udp),
        "empty_run": (~runs.any(axis=1), whole),
    }
    if flows.inter_arrival_time is not None:
        time = flows.inter_arrival_time
        wrong = ~(np.isfinite(time) & (time >= 0)) | ((flows.position == 0) & (time != 0))
        checks["times"] = (np.bincount(flows.flow_index, wrong, len(view)) == 0, np.ones(len(view), dtype=bool))
    return checks


def _shares(names: list[str], view: FlowView) -> dict:
    if view.flows.protocol is None:
        return {"overall": None, "per_class": {}, "checks": {}, "reason": "no protocol"}
    checks = check_flows(view)
    passed = np.stack([passes | ~applies for passes, applies in checks.values()]).all(axis=0)
    per_class = np.bincount(view.classes, passed, view.num_classes)
    return {
        "overall": float(passed.mean()),
        "per_class": {names[c]: float(per_class[c] / view.class_counts[c]) for c in np.unique(view.classes)},
        "checks": {
            name: float(passes[applies].mean()) if applies.any() else None for name, (passes, applies) in checks.items()
        },
    }


VALIDITY = MetricInfo(
    name="validity",
    title="Flows that follow TCP and UDP",
    group="validity",
    unit="share",
    range=(0.0, 1.0),
    better="real",
    formula="share of flows that pass all checks: handshake order, payload sizes, runs of empty packets, times",
    source="RFC 9293 (TCP), RFC 768 (UDP), RFC 894 (Ethernet)",
    compute=validity,
)
