"""Reads the server name that a client requests in its TLS ClientHello (RFC 6066, section 3), over TCP and QUIC.

A ClientHello that is longer than a segment or datagram is reassembled from several, also if they come out of order.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from hf_ntg.flows.capture_in.biflow import Biflow
from hf_ntg.flows.capture_in.packets import Packets
from hf_ntg.flows.labelling.quic_initial import QUIC_VERSIONS, InitialReader, cryptography_is_there
from hf_ntg.flows.schema import TCP, UDP

__all__ = ["NotEnoughError", "ServerNames", "hello_of_records", "server_name"]

_HANDSHAKE_RECORD, _CLIENT_HELLO, _SERVER_NAME = 22, 1, 0
_MOST_HELLO = 1 << 16
_MOST_PACKETS = 32  # packets of the client in which a ClientHello must be complete
_SEQUENCE_NUMBERS = 1 << 32


class NotEnoughError(Exception):
    """The bytes end before the server name; more may follow."""


class ServerNames:
    """Finds the server names of the flows of one capture, block by block.

    Attributes:
        noticed: remarks, counted.
    """

    def __init__(self) -> None:
        self.noticed: Counter[str] = Counter()
        self._pending: dict[int, _TcpHello | InitialReader] = {}  # by number of the flow
        self._reads_quic = cryptography_is_there()

    def look(self, packets: Packets, order: np.ndarray, runs: list[tuple[Biflow, int]]) -> None:
        """Set ``sni`` of the flows in `runs` whose ClientHello is completed in this block.

        Args:
            order: rows of `packets` sorted by flow. runs: flows, and the place in `order` where each begins.
        """
        begins = np.array([begin for _, begin in runs])
        ends = np.append(begins[1:], len(order))
        candidate = _may_begin_hello(packets)[order]
        before = np.concatenate([[0], np.cumsum(candidate)])
        has_candidate = before[ends] > before[begins]
        for place, (flow, begin) in enumerate(runs):
            if flow.sni is None and (has_candidate[place] or flow.number in self._pending):
                self._look_into(packets, order[begin : ends[place]], candidate[begin : ends[place]], flow)

    def _look_into(self, packets: Packets, rows: np.ndarray, candidate: np.ndarray, flow: Biflow) -> None:
        """Read the packets of `flow` at `rows` until its server name is known or cannot be."""
        for row, is_candidate in zip(rows.tolist(), candidate.tolist(), strict=True):
            pending = self._pending.get(flow.number)
            if pending is None and not is_candidate:
                continue
            start, kept = int(packets.payload[row]), int(packets.kept[row])
            if not kept:
                continue
            if pending is None:
                if flow.protocol == UDP and not self._reads_quic:
                    self.noticed["QUIC Initials not read for server names: pip install cryptography"] += 1
                    return
                pending = _TcpHello() if flow.protocol == TCP else InitialReader()
                self._pending[flow.number] = pending
            payload = packets.data[start : start + kept].tobytes()
            try:
                pending.add(int(packets.side[row]), int(packets.sequence[row]), payload)
                flow.sni = server_name(pending.hello())
            except NotEnoughError:
                continue
            except ValueError:
                pass  # not a ClientHello after all, or one without a server name
            del self._pending[flow.number]
            if flow.sni is not None:
                return


class _TcpHello:
    """The bytes that the client has sent since the start of its ClientHello, in order."""

    def __init__(self) -> None:
        self._side = -1
        self._next = 0
        self._bytes = b""
        self._early: dict[int, bytes] = {}
        self._packets = 0

    def add(self, side: int, sequence: int, payload: bytes) -> None:
        """Add a segment; segments of the other side are ignored.

        Raises:
            ValueError: the ClientHello is too long.
        """
        if self._side < 0:
            self._side, self._next = side, sequence
        if side != self._side:
            return
        self._packets += 1
        if self._packets > _MOST_PACKETS or len(self._bytes) > _MOST_HELLO:
            raise ValueError("no whole ClientHello")
        self._early[sequence] = payload
        while self._next in self._early:
            piece = self._early.pop(self._next)
            self._bytes += piece
            self._next = (self._next + len(piece)) % _SEQUENCE_NUMBERS

    def hello(self) -> bytes:
        """Return the handshake message received so far."""
        return hello_of_records(self._bytes)


def hello_of_records(data: bytes) -> bytes:
    """Return the handshake bytes in the TLS records of `data` (RFC 8446, 5.1); the last record may be incomplete.

    Raises:
        ValueError: a record is not a handshake record.
    """
    handshake, place = b"", 0
    while place + 5 <= len(data):
        if data[place] != _HANDSHAKE_RECORD or data[place + 1] != 3:
            raise ValueError("not a handshake record")
        size = int.from_bytes(data[place + 3 : place + 5])
        if not size:
            raise ValueError("an empty handshake record")
        handshake += data[place + 5 : place + 5 + size]
        place += 5 + size
    return handshake


def server_name(hello: bytes) -> str:
    """Return the host name in a ClientHello message (RFC 8446, 4.1.2).

    Raises:
        NotEnoughError: the message ends before the name.
        ValueError: the message is not a ClientHello, or names no host.
    """
    cursor = _Cursor(hello)
    if cursor.number(1) != _CLIENT_HELLO:
        raise ValueError("not a ClientHello")
    end = cursor.number(3) + 4
    cursor.skip(2 + 32)
    cursor.skip(cursor.number(1))  # session
    cursor.skip(cursor.number(2))  # cipher suites
    cursor.skip(cursor.number(1))  # compression
    if cursor.place >= end:
        raise ValueError("no extensions")
    end = min(cursor.number(2) + cursor.place, end)
    while cursor.place + 4 <= end:
        kind, size = cursor.number(2), cursor.number(2)
        if kind != _SERVER_NAME:
            cursor.skip(size)
            continue
        cursor.skip(2 + 1)  # list length and name type; the host name is the only type
        name = cursor.take(cursor.number(2)).decode("ascii").lower().rstrip(".")  # UnicodeDecodeError is a ValueError
        if not name or not name.isprintable():
            raise ValueError("no sensible host name")
        return name
    raise ValueError("no server name")


class _Cursor:
    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 0

    def take(self, size: int) -> bytes:
        if self.place + size > len(self.data):
            raise NotEnoughError
        self.place += size
        return self.data[self.place - size : self.place]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size))

    def skip(self, size: int) -> None:
        self.place += size


def _may_begin_hello(packets: Packets) -> np.ndarray:
    """Return whether each payload begins like a TLS ClientHello or a QUIC Initial of a known version: (n,) bool."""
    is_udp = (packets.key[:, 4] >> np.uint64(8)) & np.uint64(0xFF) == UDP
    held = packets.kept >= 7
    place = np.where(held, packets.payload, 0)
    byte = [packets.data[place + at].astype(np.int64) for at in range(6)]
    tls = (byte[0] == _HANDSHAKE_RECORD) & (byte[1] == 3) & (byte[5] == _CLIENT_HELLO)
    version = (byte[1] << 24) | (byte[2] << 16) | (byte[3] << 8) | byte[4]
    quic = (byte[0] & 0xC0 == 0xC0) & np.isin(version, list(QUIC_VERSIONS))
    return held & np.where(is_udp, quic, tls)
