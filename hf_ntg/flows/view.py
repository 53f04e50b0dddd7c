"""Packet views: which packets of a flow are learned and judged, all of them or those that carry payload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from datasets import Dataset

from hf_ntg.constants import DEFAULT_VIEW, PACKET_VIEWS
from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays, as_arrays, ragged_positions

__all__ = [
    "DEFAULT_VIEW",
    "PACKET_VIEWS",
    "all_in_view",
    "check_view",
    "common_view",
    "dropped_in_words",
    "flows_in_view",
    "in_one_view",
    "in_view",
    "longest_seen",
]


def check_view(view: str) -> None:
    """Raise an InputError unless `view` is one of ``PACKET_VIEWS``."""
    if view not in PACKET_VIEWS:
        raise InputError(f"packet view {view!r}: choose one of {', '.join(PACKET_VIEWS)}")


def in_view(flows: FlowArrays, view: str) -> tuple[FlowArrays, int]:
    """Put flows into a packet view.

    ``payload`` keeps the packets that carry payload. The gap of a kept packet is the time since the last kept one, so
    the gaps of a flow add up to the time from its first to its last kept packet. A flow without any payload drops out.
    ``all`` keeps every packet. Directions stay relative to the flow's initiator, and ``packet_count`` stays the number
    of packets of the whole flow, before the view.

    The result names its view and which of its flows were cut (see :class:`FlowArrays`). Flows that are in the view
    already come back unchanged.

    Args:
        flows: N flows. view: one of ``PACKET_VIEWS``.

    Returns:
        The flows in the view, and how many dropped out.

    Raises:
        InputError: there is no such view, or `flows` hold payload packets only and `view` is ``all``.
    """
    check_view(view)
    if flows.view == view:
        return flows, 0
    if flows.view == "payload":
        raise InputError("these flows hold their payload packets only; the packet view 'all' needs every packet")
    flows = replace(flows, view=view, cut=_cut_flows(flows))
    if view == "all":
        return flows, 0
    kept = np.flatnonzero(flows.payload_length > 0)
    if len(kept) == len(flows.payload_length):
        return flows, 0
    lengths = np.diff(np.searchsorted(kept, flows.offsets))
    gaps = flows.inter_arrival_time
    seen = replace(
        flows,
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        payload_length=flows.payload_length[kept],
        direction=flows.direction[kept],
        inter_arrival_time=None if gaps is None else _gaps_between(gaps, kept, ragged_positions(lengths) == 0),
        tcp_window=None if flows.tcp_window is None else flows.tcp_window[kept],
    )
    dropped = int((lengths == 0).sum())
    return (seen.take(lengths > 0) if dropped else seen), dropped


def flows_in_view(flows: Dataset | FlowArrays, view: str | None) -> tuple[FlowArrays, int]:
    """Put a table into a packet view. None keeps the view that the table is marked with, else ``all``.

    Returns:
        As :func:`in_view`.

    Raises:
        InputError: as :func:`in_view`, or no flow is left.
    """
    arrays = as_arrays(flows)
    seen, dropped = in_view(arrays, view or arrays.view or "all")
    if not len(seen):
        raise InputError("none of the flows carries payload; use the packet view 'all'" if dropped else "no flows")
    return seen, dropped


def all_in_view(flows: Dataset | FlowArrays, view: str) -> FlowArrays:
    """Put flows into a packet view that must have a packet of every one of them.

    Raises:
        InputError: as :func:`in_view`, or a flow would drop out; the message names the first.
    """
    arrays = as_arrays(flows)
    seen, dropped = in_view(arrays, view)
    if dropped:
        bare = np.bincount(arrays.flow_index, arrays.payload_length > 0, len(arrays)) == 0
        raise InputError(
            f"flow {int(np.argmax(bare))} carries no payload, so the packet view 'payload' has no packet of it; "
            "leave such flows out (hf_ntg.flows.view.in_view)"
        )
    return seen


def common_view(tables: Mapping[str, FlowArrays], view: str | None = None) -> str:
    """The packet view in which tables can be compared: `view`, else the one that synthetic flows name, else ``all``.

    Args:
        tables: flow tables by name.

    Raises:
        InputError: the tables are in different views, and no `view` says which to take; or some hold payload packets
            only and `view` is ``all``.
    """
    named = {name: table.view for name, table in tables.items() if table.view is not None}
    if view is None and len(set(named.values())) > 1:
        said = ", ".join(f"{name}: {own}" for name, own in named.items())
        raise InputError(f"the tables are in different packet views ({said}); ask for the view 'payload'")
    chosen = view or next(iter(named.values()), "all")
    check_view(chosen)
    partial = [name for name, own in named.items() if own == "payload"]
    if chosen == "all" and partial:
        raise InputError(
            f"{partial[0]}: these flows hold their payload packets only and cannot be compared in the packet view 'all'"
        )
    return chosen


def in_one_view(
    tables: Mapping[str, FlowArrays], view: str | None = None
) -> tuple[dict[str, FlowArrays], dict[str, int], str]:
    """Put flow tables into the view of :func:`common_view`.

    Returns:
        The tables in the view, how many flows dropped out of each, and the view.

    Raises:
        InputError: as :func:`common_view`, or no flow of a table is left.
    """
    chosen = common_view(tables, view)
    seen = {name: in_view(table, chosen) for name, table in tables.items()}
    for name, (table, dropped) in seen.items():
        if dropped and not len(table):
            raise InputError(f"{name}: none of the flows carries payload; use the packet view 'all'")
    return {name: table for name, (table, _) in seen.items()}, {name: out for name, (_, out) in seen.items()}, chosen


def dropped_in_words(dropped: int, total: int) -> str:
    """One line that says how many of `total` flows a packet view left out."""
    return f"{dropped:,} of {total:,} flows carry no payload and are left out (packet view 'payload')"


def longest_seen(flows: FlowArrays, max_packets: int) -> int:
    """How many packets of a flow can be learned from `flows`, at most `max_packets`.

    It is fewer than `max_packets` where every flow ends or is cut before, and one of the longest was cut: what follows
    its last packet was never seen.
    """
    longest = int(flows.num_packets.max())
    if longest >= max_packets or flows.cut is None or not flows.cut[flows.num_packets == longest].any():
        return max_packets
    return longest


def _gaps_between(gaps: np.ndarray, kept: np.ndarray, first: np.ndarray) -> np.ndarray:
    """(K,) seconds from the previous kept packet to each of the packets `kept`; 0 for the `first` of a flow.

    Each kept packet owns the packets after the previous kept one up to itself, and its gap is the sum of theirs.
    """
    starts = np.concatenate([[0], kept[:-1] + 1]) if len(kept) else kept
    sums = np.add.reduceat(gaps[: kept[-1] + 1].astype(np.float64), starts) if len(kept) else np.zeros(0)
    return np.where(first, 0.0, sums).astype(gaps.dtype)


def _cut_flows(flows: FlowArrays) -> np.ndarray:
    """(N,) which flows go on after the last packet that the table holds: those with a larger ``packet_count``.

    In a table without a single empty packet, ``packet_count`` may also count packets that were left out in between.
    There only the flows that are as long as the table's longest count as cut. A table without ``packet_count`` says
    nothing about cuts, and its flows count as ended.
    """
    held = flows.num_packets
    if flows.packet_count is None:
        return np.zeros(len(flows), dtype=bool)
    more = flows.packet_count > held
    return more if (flows.payload_length == 0).any() else more & (held == held.max(initial=0))
