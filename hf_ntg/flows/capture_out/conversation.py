"""Turns a flow's packet lists into the packets of a conversation: adds and cuts packets, sets numbers and times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hf_ntg.flows.arrays import FlowArrays, ragged_positions
from hf_ntg.flows.capture_out.completion import completion
from hf_ntg.flows.capture_out.tcp_roles import ACK, FIN, PSH, SYN, Closing, Opening, TcpRoles
from hf_ntg.flows.schema import TCP

__all__ = ["ADDED_GAP", "DEFAULT_GAP", "DEFAULT_WINDOW", "NANOSECONDS", "PACKET", "Conversations", "converse"]

NANOSECONDS = 1_000_000_000
ADDED_GAP = 10_000_000
"""Nanoseconds between an added packet and its neighbours."""
DEFAULT_GAP = 1_000_000
"""Nanoseconds between the packets of a flow without inter-arrival times."""
DEFAULT_WINDOW = 64_240
"""Raw TCP window of an added packet, and of every packet of a flow without windows."""
_USUAL_SCALE, _LARGEST_SCALE = 7, 14  # RFC 7323, section 2.3
_SHORTEST_REST = 16  # bytes of the last packet of a cut payload; some parsers fail at shorter parts of a header
_TLS_HEADER = 5
_LARGEST_TLS_RECORD = 2**14 + 256  # RFC 8446, section 5.2

PACKET = np.dtype(
    [
        ("time", "i8"),  # ns since the flow's first packet; later, once the flow has a start, ns since 1970
        ("flow", "i8"),
        ("comment", "i4"),  # bytes of its comment, with pcapng's option headers and padding
        ("sequence", "u4"),
        ("acknowledgement", "u4"),
        ("message", "u4"),  # number of the DNS message that is its payload, 0 for none
        ("length", "i4"),  # payload, bytes
        ("tls_record", "i4"),  # length of the TLS record in which this payload begins, -1 for none
        ("source", "u1", 16),  # IPv4 addresses are in the first four bytes
        ("destination", "u1", 16),
        ("source_port", "u2"),
        ("destination_port", "u2"),
        ("window", "u2"),
        ("protocol", "u1"),
        ("flags", "u1"),
        ("tls_skip", "u1"),  # bytes of that record's header in earlier packets
        ("scale", "u1"),  # window scale that a SYN of this side announces
        ("upstream", "?"),
        ("added", "?"),
    ]
)
"""One packet of a conversation: everything that its headers need."""


@dataclass(frozen=True)
class Conversations:
    """N conversations of T packets in all, flow by flow.

    Attributes:
        packets: (T,) of :data:`PACKET`; addresses and ports are still to be filled in.
        offsets: (N + 1,) int64; conversation i owns packets ``offsets[i]:offsets[i + 1]``.
        added_before, added_between, added_after: (N,) packets added before, between and after the flow's own.
        roles: the roles of the flow's own packets.
        segmented: payloads that were cut into several packets.
        sizes: (N,) packets of each conversation in the capture, fragments included.
    """

    packets: np.ndarray
    offsets: np.ndarray
    added_before: np.ndarray
    added_between: np.ndarray
    added_after: np.ndarray
    roles: TcpRoles
    segmented: int
    sizes: np.ndarray


def converse(
    flows: FlowArrays,
    protocol: np.ndarray,
    tls: np.ndarray,
    limit: np.ndarray,
    rng: np.random.Generator,
    complete: bool = True,
    tick: int = 1,
    payload_view: bool = False,
) -> Conversations:
    """Turn flows into conversations by the rules of :mod:`hf_ntg.flows.capture_out.tcp_roles`.

    With `complete`, a TCP flow without its own opening gets a handshake of three packets. A TCP flow without a closing
    gets FIN, FIN, ACK, begun by the side that sent last. An attempt that was not answered, or that was refused, gets
    neither. Flows in the `payload_view` also get acknowledgements; for them
    :mod:`hf_ntg.flows.capture_out.completion` has the rules. Without `complete`, nothing is added.

    Sequence numbers start at random and count payload, SYN and FIN. Every packet acknowledges everything that the other
    side has sent before it. Windows are the flow's own; their scale is chosen so that the packets in flight fit.

    Args:
        flows: N flows.
        protocol: (N,) 6 or 17.
        tls: (N,) bool: cut the payload into TLS records.
        limit: (N,) largest payload of one packet. A longer payload becomes several packets at the same time; the last
            one has PSH and FIN, and at least 16 bytes unless `limit` is below 32.
        tick: nanoseconds to which every gap between packets is rounded.
        payload_view: the flows hold only packets with payload.
    """
    is_tcp = protocol == TCP
    roles = TcpRoles.of(flows, is_tcp)
    wants = is_tcp & (roles.opening <= Opening.HANDSHAKE) & (complete and not payload_view)
    head, tail = wants & (roles.opening == Opening.NONE), wants & (roles.closing == Closing.OPEN)
    row = flows.flow_index
    pieces = np.maximum(-(-flows.payload_length // limit[row]), 1)
    own = np.add.reduceat(pieces, flows.offsets[:-1])
    offsets = np.concatenate([[0], np.cumsum(own + 3 * head + 3 * tail)])

    packets = np.zeros(offsets[-1], dtype=PACKET)
    numbers = np.zeros(len(packets), dtype=np.int64)  # sequence numbers used by SYN and FIN
    packets["flow"] = np.repeat(np.arange(len(flows)), np.diff(offsets))
    packets["protocol"] = protocol[packets["flow"]]
    _fill_own(packets, numbers, flows, roles, pieces, limit, offsets[:-1] + 3 * head, tick)
    before, after = offsets[:-1][head], offsets[1:][tail] - 3
    gaps = ADDED_GAP * np.arange(3)
    _fill_added(packets, numbers, before, np.ones(len(before)), SYN, gaps)
    packets["time"] += np.where(packets["added"], 0, 3 * ADDED_GAP * head[packets["flow"]])
    closer = flows.direction[flows.offsets[1:] - 1][tail]
    _fill_added(packets, numbers, after, closer, FIN, packets["time"][after - 1][:, None] + ADDED_GAP + gaps)
    added = 3 * head, np.zeros(len(flows), np.int64), 3 * tail
    if complete and payload_view:
        packets, numbers, offsets, added = _with_completion(packets, numbers, offsets, is_tcp, tick)
    _number(packets, numbers, offsets, roles, rng)
    _set_scales(packets, numbers, offsets)
    _set_tls_records(packets, tls & is_tcp)
    return Conversations(packets, offsets, *added, roles, int((pieces > 1).sum()), np.diff(offsets))


def _with_completion(
    packets: np.ndarray,
    numbers: np.ndarray,
    offsets: np.ndarray,
    is_tcp: np.ndarray,
    tick: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Add the packets that complete the conversations.

    Return packets, numbers, offsets, and how many were added before, between and after.
    """
    found = completion(packets["time"], packets["upstream"], offsets, is_tcp, tick)
    added = np.zeros(len(found.flow), dtype=PACKET)
    added["flow"], added["time"], added["upstream"], added["flags"] = (
        found.flow,
        found.time,
        found.upstream,
        found.flags,
    )
    added["protocol"], added["added"] = TCP, True
    every = np.concatenate([packets, added])
    order = np.lexsort((every["time"], every["flow"]))  # stable: at one time, a flow's own packets come first
    every, numbers = every[order], np.concatenate([numbers, found.numbers])[order]
    sizes = np.bincount(every["flow"], minlength=len(is_tcp))
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    every["time"] -= every["time"][offsets[:-1]][every["flow"]]
    _carry_windows(every, offsets)
    between = np.bincount(found.flow, minlength=len(is_tcp)) - found.before - found.after
    return every, numbers, offsets, (found.before, between, found.after)


def _carry_windows(packets: np.ndarray, offsets: np.ndarray) -> None:
    """Give every added packet except a SYN the last window of its side, or the default if there is none."""
    place, first = np.arange(len(packets)), offsets[packets["flow"]]
    window = np.where(packets["added"], DEFAULT_WINDOW, packets["window"])
    for upstream in (True, False):
        own = np.maximum.accumulate(np.where(~packets["added"] & (packets["upstream"] == upstream), place, -1))
        rows = packets["added"] & (packets["upstream"] == upstream) & (packets["flags"] & SYN == 0) & (own >= first)
        window[rows] = packets["window"][own[rows]]
    packets["window"] = window


def _fill_own(
    packets: np.ndarray,
    numbers: np.ndarray,
    flows: FlowArrays,
    roles: TcpRoles,
    pieces: np.ndarray,
    limit: np.ndarray,
    first: np.ndarray,
    tick: int,
) -> None:
    """Return the flow's own packets, starting at place `first` of each flow; each becomes `pieces` packets."""
    source = np.repeat(np.arange(len(pieces)), pieces)  # (Q,) index of the flow's packet to which a piece belongs
    row, is_tcp = flows.flow_index[source], roles.flags[source] > 0
    begin = np.cumsum(pieces) - pieces
    place = first[row] + np.arange(len(source)) - begin[flows.offsets[:-1]][row]
    rank = ragged_positions(pieces)
    is_last = rank == pieces[source] - 1
    length = np.where(is_last, flows.payload_length[source] - rank * limit[row], limit[row])
    short = np.flatnonzero(is_last & (rank > 0) & (length < _SHORTEST_REST) & (limit[row] >= 2 * _SHORTEST_REST))
    length[short - 1] -= _SHORTEST_REST - length[short]
    length[short] = _SHORTEST_REST
    packets["length"][place] = length
    packets["upstream"][place] = flows.direction[source] > 0
    packets["time"][place] = _times(flows, tick)[source]
    window = DEFAULT_WINDOW if flows.tcp_window is None else flows.tcp_window[source]
    packets["window"][place] = np.where(is_tcp, window, 0)
    flags = np.where(is_last, roles.flags[source], roles.flags[source] & ~np.uint8(FIN))
    packets["flags"][place] = flags | np.where(is_tcp & is_last & (length > 0), PSH, 0).astype(np.uint8)
    numbers[place] = np.where(is_last, roles.numbers[source], 0)


def _times(flows: FlowArrays, tick: int) -> np.ndarray:
    """Return the time since the flow's first packet, (P,) ns, with every gap rounded to `tick`."""
    if flows.inter_arrival_time is None:
        return flows.position * DEFAULT_GAP
    gaps = np.rint(flows.inter_arrival_time.astype(np.float64) * (NANOSECONDS / tick)).astype(np.int64) * tick
    total = np.cumsum(gaps)
    return total - total[flows.offsets[:-1]][flows.flow_index]


def _fill_added(
    packets: np.ndarray, numbers: np.ndarray, place: np.ndarray, side: np.ndarray, flag: int, times: np.ndarray
) -> None:
    """Write three packets at each `place` and at `times`: `flag` from `side`, `flag` in return, ACK."""
    places = place[:, None] + np.arange(3)  # (flows, 3)
    packets["added"][places] = True
    packets["upstream"][places] = (side > 0)[:, None] == np.array([True, False, True])
    packets["flags"][places] = [SYN if flag == SYN else FIN | ACK, flag | ACK, ACK]
    packets["window"][places] = DEFAULT_WINDOW
    packets["time"][places] = times
    numbers[places] = [1, 1, 0]


def _number(
    packets: np.ndarray, numbers: np.ndarray, offsets: np.ndarray, roles: TcpRoles, rng: np.random.Generator
) -> None:
    """Set sequence and acknowledgement numbers (RFC 9293, section 3.4); they are zero for UDP."""
    row, first = packets["flow"], offsets[:-1]
    initial = rng.integers(0, 2**32, size=(2, len(first)))
    initial[1, roles.opening == Opening.REFUSED] = 0  # RFC 9293, 3.10.7.1: a reset of a SYN has sequence number 0
    used = np.where(packets["protocol"] == TCP, packets["length"] + numbers, 0)
    sent = []
    for start, from_side in zip(initial, (packets["upstream"], ~packets["upstream"]), strict=True):
        own = np.where(from_side, used, 0)
        before = np.cumsum(own) - own
        sent.append((start - before[first])[row] + before)
    is_tcp, acknowledges = packets["protocol"] == TCP, (packets["flags"] & ACK) > 0
    up = packets["upstream"]
    packets["sequence"] = np.where(is_tcp, np.where(up, *sent), 0) % 2**32
    packets["acknowledgement"] = np.where(acknowledges, np.where(up, *sent[::-1]), 0) % 2**32


def _set_scales(packets: np.ndarray, numbers: np.ndarray, offsets: np.ndarray) -> None:
    """Choose the window scale that each side announces; a flow keeps raw windows without their scale.

    The scale is 7, or more if the bytes that the other side has in flight would otherwise exceed the last window.
    """
    first, place = offsets[:-1], np.arange(len(packets))
    used = packets["length"] + numbers
    for upstream in (True, False):
        is_receiver = packets["upstream"] == upstream
        sent = np.cumsum(np.where(is_receiver, 0, used))
        heard = np.maximum.accumulate(np.where(is_receiver, place, -1))  # the receiver's last packet
        answered = heard >= first[packets["flow"]]
        heard = np.maximum(heard, 0)
        window = packets["window"][heard].astype(np.int64)
        under_way = sent - sent[heard]
        counts = answered & ~is_receiver & (window > 0) & (packets["flags"][heard] & SYN == 0) & (under_way > window)
        excess = np.ceil(np.log2(np.where(counts, under_way / np.maximum(window, 1), 1)))
        scale = np.clip(np.maximum.reduceat(excess, first), _USUAL_SCALE, _LARGEST_SCALE).astype(np.uint8)
        packets["scale"][is_receiver] = scale[packets["flow"][is_receiver]]


def _set_tls_records(packets: np.ndarray, tls: np.ndarray) -> None:
    """Cut the data of each side into TLS records, if there is enough for one.

    Every payload with room for a header and a byte begins a record. The record includes the shorter payloads that the
    same side sends next. If a side begins with shorter payloads, its first record begins there, and its header may
    cover several of them.
    """
    packets["tls_record"] = -1
    chosen = np.flatnonzero(tls[packets["flow"]] & (packets["length"] > 0))
    side = 2 * packets["flow"][chosen] + packets["upstream"][chosen]
    order = np.argsort(side, kind="stable")
    chosen, is_first = chosen[order], np.diff(side[order], prepend=-1) != 0
    size = packets["length"][chosen]
    sent = np.cumsum(size) - size
    has_room = size > _TLS_HEADER
    records_open: np.ndarray = np.cumsum(has_room) - has_room
    in_first_header = (_since(is_first, sent) <= _TLS_HEADER) & (_since(is_first, records_open) == 0)
    begins = is_first | (has_room & ~in_first_header)
    record = np.cumsum(begins) - 1
    length = np.bincount(record, weights=size).astype(np.int64)[record] - _TLS_HEADER
    packets["tls_record"][chosen] = np.where(length > 0, np.minimum(length, _LARGEST_TLS_RECORD), -1)
    packets["tls_skip"][chosen] = np.minimum(_since(begins, sent), _TLS_HEADER)


def _since(mark: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Return by how much the ascending `total` has grown since the last `mark`."""
    return total - np.maximum.accumulate(np.where(mark, total, 0))
