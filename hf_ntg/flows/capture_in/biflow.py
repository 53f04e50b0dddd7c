"""Flows of a capture, without their rules: the state of an open flow, and the packets of flows until they finish."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from hf_ntg.flows.capture_in.packets import ACK, FIN, RST, SYN

__all__ = ["Biflow", "BiflowBatch", "PacketStore"]

_SEQUENCE_NUMBERS = 1 << 32
_PROTOCOL_BYTE = 33 if sys.byteorder == "little" else 38  # second lowest byte of the fifth uint64 of a key
_UNKNOWN = (None, None)
_BATCH_PACKETS = 500_000  # how many are collected before finished flows are returned


class Biflow:
    """The state of an open flow: what is needed to decide whether the next packet belongs to it."""

    __slots__ = (
        "closed",
        "count",
        "first_sequence",
        "initiator",
        "key",
        "last",
        "number",
        "protocol",
        "segment",
        "sni",
        "syn_seen",
    )

    def __init__(self, key: bytes, number: int, side: int) -> None:
        self.key = key  # a row of `Packets.key`
        self.protocol = key[_PROTOCOL_BYTE]
        self.number = number  # number of its first packet in the capture
        self.initiator = side
        self.last = 0  # time of its latest packet by the capture's clock, ns
        self.count = 0  # packets
        self.closed = False  # a FIN or RST was seen
        self.syn_seen = False
        self.first_sequence: tuple[int | None, int | None] = _UNKNOWN  # initial sequence number of each side
        self.segment: int | None = None  # TCP: smallest MSS announced; UDP: longest datagram that fits a frame
        self.sni: str | None = None  # server name that the client asked for, if it was looked for

    def begin_tcp(self, side: int, flags: int, sequence: int, acknowledgement: int) -> None:
        """Take the first segment into account, whoever sent it."""
        if not flags & SYN:
            sequence -= 1
        own = sequence % _SEQUENCE_NUMBERS
        other = (acknowledgement - 1) % _SEQUENCE_NUMBERS if flags & ACK else None
        self.first_sequence = (other, own) if side else (own, other)
        if flags & SYN:
            self.syn_seen = not flags & ACK
            self.initiator = 1 - side if flags & ACK else side
        self.closed = bool(flags & (FIN | RST))

    def admits_syn(self, side: int, flags: int, sequence: int, acknowledgement: int) -> bool:
        """Whether a segment with SYN belongs to this flow (rules 3 and 4 of :mod:`.assembler`)."""
        known = self.first_sequence[side]
        if not flags & ACK:
            return known == sequence or (known is None and not self.closed)
        if self.first_sequence[1 - side] == (acknowledgement - 1) % _SEQUENCE_NUMBERS:
            return True
        return known == sequence or (known is None and not self.closed)

    def learn_syn(self, side: int, flags: int, sequence: int) -> None:
        """Take a further SYN of this flow into account."""
        if self.first_sequence[side] is None:
            self.first_sequence = (self.first_sequence[0], sequence) if side else (sequence, self.first_sequence[1])
        if not flags & ACK and not self.syn_seen:
            self.syn_seen, self.initiator = True, side


@dataclass(frozen=True)
class BiflowBatch:
    """Finished flows in the order of their first packets. The arrays hold the packets flow by flow, sorted by time."""

    flows: list[Biflow]
    offsets: np.ndarray  # (N + 1,)
    time: np.ndarray  # (P,) ns
    side: np.ndarray  # (P,)
    length: np.ndarray  # (P,)
    window: np.ndarray  # (P,)


class PacketStore:
    """Stores packets in order of arrival and returns them flow by flow."""

    def __init__(self) -> None:
        self._parts: list[tuple[np.ndarray, ...]] = []
        self._held = 0
        self._limit = _BATCH_PACKETS

    @property
    def is_full(self) -> bool:
        return self._held >= self._limit

    def add(self, number: np.ndarray, *columns: np.ndarray) -> None:
        """Store packets of the flows with these numbers."""
        self._parts.append((number, *columns))
        self._held += len(number)

    def take(self, flows: list[Biflow]) -> BiflowBatch:
        """Return the packets of `flows`, which are in order of their numbers, and forget them."""
        number, *columns = (np.concatenate(column) for column in zip(*self._parts, strict=True))
        wanted = np.array([flow.number for flow in flows])
        slot = np.searchsorted(wanted, number)
        chosen = wanted[np.minimum(slot, len(wanted) - 1)] == number
        rows = np.flatnonzero(chosen)
        rows = rows[np.argsort(slot[rows], kind="stable")]
        if (np.diff(columns[0][rows]) < 0)[np.diff(slot[rows]) == 0].any():  # some came too late to be sorted before
            rows = rows[np.lexsort((columns[0][rows], slot[rows]))]
        offsets = np.concatenate([[0], np.cumsum(np.bincount(slot[rows], minlength=len(flows)))])
        rest = tuple(column[~chosen] for column in (number, *columns))
        self._parts, self._held = [rest], len(rest[0])
        self._limit = max(_BATCH_PACKETS, 2 * self._held)
        return BiflowBatch(flows, offsets, *(column[rows] for column in columns))
