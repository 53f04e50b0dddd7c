"""Assigns each packet of a flow its role in a TCP conversation: opening, closing, or in between.

A flow records the lengths and directions of its packets, but not their flags. The rules below derive the flags. ``+0``
is an empty packet of the initiator, ``-0`` an empty packet of the other side. ``X`` is one side and ``Y`` the other.

===============  =========================================  =====================================================
Opening          the flow begins with                       its packets become
===============  =========================================  =====================================================
``HANDSHAKE``    ``+0``, ``-0``, then any ``+``             SYN, SYN ACK, ACK (which may carry data); repeated
                                                            ``+0`` or ``-0`` are SYN and SYN ACK sent again
``UNANSWERED``   ``+0`` only, to its end                    SYN, sent again and again
``REFUSED``      ``+0`` (repeated or not), ``-0``, its end  SYN, RST ACK
``NONE``         anything else                              ACK: a conversation caught in the middle
===============  =========================================  =====================================================

=============  =========================================  =======================================================
Closing        the flow ends in                           its packets become
=============  =========================================  =======================================================
``FIN``        any ``X``, one or more ``Y 0``, ``X 0``    FIN on that first ``X`` and on the last ``Y 0``; then ACK
``RESET``      ``X 0``, ``X 0`` and not ``FIN``, or       RST ACK on the last
               ``X 0`` with a window of 0, not all 0
``OPEN``       anything else                              nothing: the writer has to add a closing
=============  =========================================  =======================================================

A flow is known to be cut if ``packet_count`` exceeds its number of packets. A cut flow is never closed by its own
packets and never refused; if it is cut right after ``+0``, ``-0``, it counts as a handshake. Every other packet is a
plain ACK. RFC 9293 defines the flags.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from hf_ntg.flows.arrays import FlowArrays

__all__ = ["ACK", "FIN", "PSH", "RST", "SYN", "Closing", "Opening", "TcpRoles"]

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10


class Opening(IntEnum):
    """How a flow begins."""

    NONE = 0
    HANDSHAKE = 1
    UNANSWERED = 2
    REFUSED = 3


class Closing(IntEnum):
    """How a flow ends."""

    OPEN = 0
    FIN = 1
    RESET = 2


@dataclass(frozen=True)
class TcpRoles:
    """The roles of the packets of N flows, P packets in all. Packets of UDP flows have no role.

    Attributes:
        flags: (P,) uint8 TCP flags, without PSH.
        numbers: (P,) int64 sequence numbers that the flags use. Of repeated SYNs, only the last uses one.
        opening, closing: (N,) :class:`Opening`, :class:`Closing`.
    """

    flags: np.ndarray
    numbers: np.ndarray
    opening: np.ndarray
    closing: np.ndarray

    @classmethod
    def of(cls, flows: FlowArrays, is_tcp: np.ndarray) -> TcpRoles:
        """Return the roles in `flows`; `is_tcp`, (N,) bool, marks the TCP flows."""
        syns, syn_acks, opening = _openings(flows, is_tcp)
        opened = opening != Opening.NONE
        established = np.where(opening == Opening.HANDSHAKE, syns + syn_acks, 0)
        first_fin, closing = _closings(flows, is_tcp & (opening <= Opening.HANDSHAKE), established)

        row, position, last = flows.flow_index, flows.position, flows.num_packets - 1
        flags = np.where(is_tcp[row], ACK, 0).astype(np.uint8)
        flags[opened[row] & (position < syns[row])] = SYN
        flags[(opened[row] & (position >= syns[row]) & (position < established[row]))] = SYN | ACK
        fins = (closing == Closing.FIN)[row] & ((position == first_fin[row]) | (position == last[row] - 1))
        flags[fins] |= FIN
        resets = (closing == Closing.RESET) | (opening == Opening.REFUSED)
        flags[resets[row] & (position == last[row])] |= RST

        numbers = fins.astype(np.int64)
        numbers += opened[row] & ((position == syns[row] - 1) | (position == established[row] - 1))
        return cls(flags, numbers, opening, closing)


def _first_where(flows: FlowArrays, mask: np.ndarray) -> np.ndarray:
    """Return the position of each flow's first packet in `mask`, (N,); its number of packets if there is none."""
    places = np.where(mask, flows.position, flows.num_packets[flows.flow_index])
    return np.minimum.reduceat(places, flows.offsets[:-1])


def _is_cut(flows: FlowArrays) -> np.ndarray:
    if flows.packet_count is None:
        return np.zeros(len(flows), dtype=bool)
    return flows.packet_count > flows.num_packets


def _openings(flows: FlowArrays, is_tcp: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the number of leading ``+0``, the number of ``-0`` after them, and the opening: (N,) each."""
    empty, up, row = flows.payload_length == 0, flows.direction > 0, flows.flow_index
    syns = _first_where(flows, ~(empty & up))
    after = _first_where(flows, ~(empty & ~up) & (flows.position >= syns[row]))
    syn_acks, size, cut = after - syns, flows.num_packets, _is_cut(flows)
    begun = is_tcp & (syns > 0)
    answered = np.where(after < size, up[flows.offsets[:-1] + np.minimum(after, size - 1)], cut)
    opening = np.full(len(flows), Opening.NONE, dtype=np.int8)
    opening[begun & (syn_acks > 0) & answered] = Opening.HANDSHAKE
    opening[begun & (syns == size)] = Opening.UNANSWERED
    opening[begun & (syn_acks == 1) & (after == size) & ~cut] = Opening.REFUSED
    return syns, syn_acks, opening


def _closings(flows: FlowArrays, may_close: np.ndarray, established: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the position of the first FIN, if there is one, and the closing: (N,) each."""
    empty, row, size, first = flows.payload_length == 0, flows.flow_index, flows.num_packets, flows.offsets[:-1]
    last = flows.offsets[1:] - 1
    closer = flows.direction[last]
    other_side_empty = empty & (flows.direction == -closer[row])
    before = np.where(~other_side_empty & (flows.position < size[row] - 1), flows.position, -1)
    before = np.maximum.reduceat(before, first)  # the packet before the run of Y 0 that precedes the last packet
    ends_empty = may_close & empty[last] & ~_is_cut(flows) & (size > established)
    may_close = ends_empty & (before >= established) & (before >= 0)
    same_side = flows.direction[first + np.maximum(before, 0)] == closer
    closing = np.full(len(flows), Closing.OPEN, dtype=np.int8)
    closing[may_close & same_side & (before < size - 2)] = Closing.FIN
    closing[may_close & same_side & (before == size - 2) & empty[np.maximum(last - 1, 0)]] = Closing.RESET
    if flows.tcp_window is not None:  # window 0 at the end: a full receiver would still be probed
        has_windows = np.maximum.reduceat(flows.tcp_window, first) > 0
        closing[ends_empty & has_windows & (flows.tcp_window[last] == 0) & (closing == Closing.OPEN)] = Closing.RESET
    return before, closing
