"""Adds handshake, acknowledgements and closing to TCP conversations that have only packets with payload.

The capture point is the client. A flow's round-trip time is its shortest gap from a packet of the client to one of the
server. Acknowledgements follow RFC 5681, section 4.2, and RFC 1122, section 4.2.3.2. A receiver acknowledges every
second segment at once, and a single segment after a delay. If it sends data before that, the data carry the
acknowledgement. The client's packets are seen when they are sent, the server's packets a round trip later.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hf_ntg.flows.capture_out.tcp_roles import ACK, FIN, SYN

__all__ = ["ACKNOWLEDGEMENT_DELAY", "Additions", "completion", "round_trip_times"]

ACKNOWLEDGEMENT_DELAY = 1_000_000
"""Nanoseconds that a single segment waits for its acknowledgement. RFC 1122 allows 500 ms. Linux waits 40 ms in a
dialogue, but acknowledges at once at the start of a connection. Of 0.1, 1, 5 and 40 ms, this delay comes
closest to public captures. It is an approximation: on ten of them, acknowledgements are 0.356 of the completed packets
and 0.407 of the real ones, and about half of the gaps between packets with payload hold as many as in reality."""
_REACTION = 20_000  # ns between a packet and the packet that the same host sends in response
_CLOSING_GAP = 10_000_000  # ns between the last packet and the closing
_USUAL_ROUND_TRIP, _SHORTEST, _LONGEST = 20_000_000, 50_000, 200_000_000
_SEGMENTS_AT_ONCE = 2  # segments after which a receiver acknowledges without delay


@dataclass(frozen=True)
class Additions:
    """M packets that complete N conversations, ordered by flow only.

    Attributes:
        flow: (M,) int64. time: (M,) int64 ns since the flow's first packet with payload; negative in the handshake.
        upstream: (M,) bool. flags: (M,) uint8. numbers: (M,) int64 sequence numbers that SYN and FIN use.
        before, after: (N,) numbers of packets in the handshake and in the closing.
    """

    flow: np.ndarray
    time: np.ndarray
    upstream: np.ndarray
    flags: np.ndarray
    numbers: np.ndarray
    before: np.ndarray
    after: np.ndarray


def completion(time: np.ndarray, upstream: np.ndarray, offsets: np.ndarray, is_tcp: np.ndarray, tick: int) -> Additions:
    """Return the packets that TCP adds to N flows of packets with payload. The side that sent last closes with FIN.

    Args:
        time: (P,) ns since the flow's first packet, ascending in each flow. upstream: (P,) bool.
        offsets: (N + 1,) where the packets of each flow begin. is_tcp: (N,) bool; other flows get no packets.
        tick: resolution in nanoseconds; all times are multiples of it.
    """
    round_trip = round_trip_times(time, upstream, offsets)
    acks = _acknowledgements(time, upstream, offsets, is_tcp, round_trip)
    rows = np.flatnonzero(is_tcp)
    last = time[offsets[1:] - 1].copy()
    np.maximum.at(last, acks[0], acks[1])
    closer = upstream[offsets[1:] - 1][rows]
    half = round_trip[rows]
    trips = np.where(closer, half, _REACTION), np.where(closer, _REACTION, half)
    begin, end = -half - 2 * _REACTION, last[rows] + _CLOSING_GAP
    ones, zeros = np.ones(len(rows), bool), np.zeros(len(rows), bool)
    parts = [  # flow, time, upstream, flags, numbers
        (rows, begin, ones, SYN, 1),
        (rows, begin + half, zeros, SYN | ACK, 1),
        (rows, begin + half + _REACTION, ones, ACK, 0),
        (*acks, ACK, 0),
        (rows, end, closer, FIN | ACK, 1),
        (rows, end + trips[0], ~closer, FIN | ACK, 1),
        (rows, end + trips[0] + trips[1], closer, ACK, 0),
    ]
    flow, when, side = (np.concatenate([part[column] for part in parts]) for column in range(3))
    flags, numbers = (
        np.repeat([part[column] for part in parts], [len(part[0]) for part in parts]) for column in (3, 4)
    )
    when = np.ceil(when / tick).astype(np.int64) * tick
    return Additions(flow, when, side, flags.astype(np.uint8), numbers, 3 * is_tcp, 3 * is_tcp)


def round_trip_times(time: np.ndarray, upstream: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return the shortest gap from an upstream to a downstream packet, (N,) ns, clipped to 50 us to 200 ms.

    A flow without such a gap gets 20 ms.
    """
    gaps = np.diff(time, prepend=0).astype(np.float64)
    is_answer = ~upstream & np.concatenate([[False], upstream[:-1]])
    is_answer[offsets[:-1]] = False
    shortest = np.minimum.reduceat(np.where(is_answer, gaps, np.inf), offsets[:-1])
    shortest = np.where(np.isfinite(shortest), shortest, _USUAL_ROUND_TRIP)
    return np.clip(shortest, _SHORTEST, _LONGEST).astype(np.int64)


def _acknowledgements(
    time: np.ndarray, upstream: np.ndarray, offsets: np.ndarray, is_tcp: np.ndarray, round_trip: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return flow, time and side (upstream or not) of every acknowledgement without payload: (M,) each.

    The loop goes through all flows at once, packet by packet. The closing acknowledges everything that is still
    unacknowledged after the last packet.
    """
    sizes = np.where(is_tcp, np.diff(offsets), 0)
    order = np.argsort(-sizes, kind="stable")
    sizes = sizes[order]
    first, delay = offsets[:-1][order], np.stack([round_trip[order], np.full(len(order), _REACTION)])
    waiting = np.zeros((2, len(order)), np.int64)  # segments that the server (0) or client (1) has not acknowledged
    deadline = np.zeros((2, len(order)), np.int64)
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for position in range(int(sizes[0]) if len(sizes) else 0):
        active = int(np.searchsorted(-sizes, -position))
        row = np.arange(active)
        now, sender = time[first[:active] + position], upstream[first[:active] + position].astype(np.int64)
        for side in (0, 1):
            due = np.flatnonzero((waiting[side, :active] > 0) & (deadline[side, :active] < now))
            found.append((due, deadline[side, due], np.full(len(due), side == 1)))
            waiting[side, due] = 0
        waiting[sender, row] = 0  # its data carry the acknowledgement
        receiver = 1 - sender
        waiting[receiver, row] += 1
        seen = now + delay[receiver, row]
        at_once = np.flatnonzero(waiting[receiver, row] >= _SEGMENTS_AT_ONCE)
        found.append((at_once, seen[at_once], receiver[at_once] == 1))
        waiting[receiver[at_once], at_once] = 0
        deadline[receiver, row] = seen + ACKNOWLEDGEMENT_DELAY
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, bool)
    flow, when, upward = (np.concatenate(column) for column in zip(*found, strict=True))
    return order[flow], when, upward
