"""Decodes frames down to TCP and UDP, a block of packets at a time.

NumPy removes each layer from all packets of the block that have it, so a rare header costs time only for the packets
that have it. A packet that cannot be read is left out and counted by reason. Nothing is guessed.

Payload lengths come from the IP header, not from the captured bytes. A short snap length or Ethernet padding does
not change them. An IP length of 0, which network cards with segmentation offload leave, means "as long as the frame".
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields, replace

import numpy as np

from hf_ntg.flows.capture_in.fragments import FragmentTable, PendingFragments
from hf_ntg.flows.capture_in.link_layer import IPV4, IPV6, TOO_DEEP, Layers, joined, peel_to_ip
from hf_ntg.flows.capture_in.link_types import first_layers
from hf_ntg.flows.capture_in.network_layer import Datagrams, read_ipv4, read_ipv6
from hf_ntg.flows.capture_in.packet_block import PacketBlock, numbers_at, padded
from hf_ntg.flows.capture_in.tunnels import inside_gre, inside_udp
from hf_ntg.flows.schema import MAX_PAYLOAD, TCP, UDP

__all__ = ["ACK", "FIN", "RST", "SYN", "PacketDecoder", "Packets", "joined_packets"]

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
_IP_IN_IP, _IPV6_IN_IP, _GRE = 4, 41, 47
_MAX_NESTING = 8
_NO_FIRST = "IP fragment whose first fragment was not seen"


@dataclass(frozen=True)
class Packets:
    """n TCP and UDP packets.

    Attributes:
        number: (n,) int64 number of the packet in its capture, from 0. time: (n,) int64 nanoseconds since 1970.
        key: (n, 5) uint64 both endpoints, the lower first: two words of address each; then ports, protocol, IP version.
        side: (n,) int8 0 if the lower endpoint sent the packet, 1 if the higher did.
        length: (n,) int32 transport payload in bytes. window: (n,) int32 raw TCP field, 0 for UDP.
        flags: (n,) uint8 TCP flags, 0 for UDP. sequence, acknowledgement: (n,) int64, 0 for UDP.
        identification: (n,) int64 of IPv4, and of IPv6 fragments; 0 for other IPv6 packets.
        fragment: (n,) bool. offset: (n,) int64 of a fragment in its packet, in units of 8 bytes.
        header: (n,) int32 bytes of the transport header; 0 for a fragment after the first.
        payload: (n,) int64 byte of `data` where the payload begins. kept: (n,) int64 captured bytes of it.
        data: uint8 buffer that holds the packets' bytes.
    """

    number: np.ndarray
    time: np.ndarray
    key: np.ndarray
    side: np.ndarray
    length: np.ndarray
    window: np.ndarray
    flags: np.ndarray
    sequence: np.ndarray
    acknowledgement: np.ndarray
    identification: np.ndarray
    fragment: np.ndarray
    offset: np.ndarray
    header: np.ndarray
    payload: np.ndarray
    kept: np.ndarray
    data: np.ndarray

    def __len__(self) -> int:
        return len(self.number)

    def take(self, rows: np.ndarray) -> Packets:
        """Return the packets at `rows` (indices or a boolean mask), in that order. They share the data buffer."""
        columns = {name: getattr(self, name)[rows] for name in _COLUMNS}
        return Packets(**columns, data=self.data)

    def compact(self) -> Packets:
        """Return the same packets with a buffer that holds only their transport headers and payloads."""
        size = self.header + self.kept
        begin = self.payload - self.header
        bounds = zip(begin.tolist(), (begin + size).tolist(), strict=True)
        view = np.ascontiguousarray(self.data).data
        data = padded(b"".join(view[low:high] for low, high in bounds))
        return replace(self, payload=np.cumsum(size) - self.kept, data=data)


_COLUMNS = tuple(field.name for field in fields(Packets) if field.name != "data")


def joined_packets(parts: list[Packets]) -> Packets:
    """Concatenate the packets of all `parts`."""
    if len(parts) == 1:
        return parts[0]
    shifts = np.cumsum([0, *(len(part.data) for part in parts[:-1])])
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS}
    columns["payload"] += np.repeat(shifts, [len(part) for part in parts])
    return Packets(**columns, data=np.concatenate([part.data for part in parts]))


class _Transport:
    """The transport fields of a block's packets, filled in as they are found."""

    source_port: np.ndarray
    destination_port: np.ndarray
    protocol: np.ndarray
    length: np.ndarray
    window: np.ndarray
    sequence: np.ndarray
    acknowledgement: np.ndarray
    flags: np.ndarray
    identification: np.ndarray
    offset: np.ndarray
    header: np.ndarray
    payload: np.ndarray
    kept: np.ndarray

    def __init__(self, count: int) -> None:
        self.found, self.fragment = np.zeros((2, count), bool)
        self.source = np.zeros((count, 2), np.uint64)
        self.destination = np.zeros((count, 2), np.uint64)
        self.version = np.zeros(count, np.int64)
        self.fragments: list[Datagrams] = []
        for name in ("source_port", "destination_port", "protocol", "length", "window", "sequence"):
            setattr(self, name, np.zeros(count, np.int64))
        for name in ("acknowledgement", "flags", "identification", "offset", "header", "payload", "kept"):
            setattr(self, name, np.zeros(count, np.int64))

    def fill(self, datagrams: Datagrams, header: int | np.ndarray, **facts: int | np.ndarray) -> None:
        """Fill in the packets of `datagrams`, whose transport header has `header` bytes."""
        layers, rows = datagrams.layers, datagrams.layers.rows
        self.found[rows] = True
        self.source[rows], self.destination[rows] = datagrams.source, datagrams.destination
        self.version[rows], self.protocol[rows] = datagrams.version, layers.kind
        self.identification[rows], self.offset[rows] = datagrams.identification, datagrams.offset
        self.fragment[rows] = datagrams.fragment
        self.length[rows] = layers.end - layers.at - header
        self.header[rows] = header
        self.payload[rows] = layers.at + header
        self.kept[rows] = np.clip(np.minimum(layers.kept, layers.end) - layers.at - header, 0, None)
        for name, values in facts.items():
            getattr(self, name)[rows] = values

    def packets(self, block: PacketBlock, noticed: Counter) -> Packets:
        """Return the packets found; the lower endpoint of each comes first."""
        rows = slice(None) if self.found.all() else np.flatnonzero(self.found)
        source, destination = self.source[rows], self.destination[rows]
        source_port, destination_port = self.source_port[rows], self.destination_port[rows]
        side = _is_greater(source, source_port, destination, destination_port)
        key = np.empty((len(side), 5), np.uint64)
        key[:, 0:2] = np.where(side[:, None], destination, source)
        key[:, 2:4] = np.where(side[:, None], source, destination)
        low_port, high_port = np.where(side, (destination_port, source_port), (source_port, destination_port))
        key[:, 4] = (low_port << 32) | (high_port << 16) | (self.protocol[rows] << 8) | self.version[rows]
        length = self.length[rows]
        too_long = int((length > MAX_PAYLOAD).sum())
        if too_long:
            noticed[f"packets clipped to {MAX_PAYLOAD} bytes of payload"] += too_long
        return Packets(
            number=block.first + np.arange(len(block))[rows],
            time=block.time[rows],
            key=key,
            side=side.astype(np.int8),
            length=np.minimum(length, MAX_PAYLOAD).astype(np.int32),
            window=self.window[rows].astype(np.int32),
            flags=self.flags[rows].astype(np.uint8),
            sequence=self.sequence[rows],
            acknowledgement=self.acknowledgement[rows],
            identification=self.identification[rows],
            fragment=self.fragment[rows],
            offset=self.offset[rows],
            header=self.header[rows].astype(np.int32),
            payload=self.payload[rows],
            kept=self.kept[rows],
            data=block.data,
        )


class PacketDecoder:
    """Decodes the blocks of one capture, in order.

    Args:
        decapsulate: look inside tunnels (see `tunnels`). If false, tunnels over UDP count as UDP packets, and
            the others as neither TCP nor UDP.

    Attributes:
        skipped: packets that were left out, counted by reason. noticed: other remarks, counted in packets.
    """

    def __init__(self, decapsulate: bool = False) -> None:
        self.decapsulate = decapsulate
        self.skipped: Counter[str] = Counter()
        self.noticed: Counter[str] = Counter()
        self._fragments = FragmentTable()
        self._pending = PendingFragments()

    def decode(self, block: PacketBlock) -> Packets:
        """Return the TCP and UDP packets of `block`."""
        found = _Transport(len(block))
        frames = first_layers(block, self.skipped)
        for _ in range(_MAX_NESTING):
            inner = []
            ipv4, ipv6 = peel_to_ip(block.data, frames, self.skipped)
            for datagrams in (read_ipv4(block.data, ipv4, self.skipped), read_ipv6(block.data, ipv6, self.skipped)):
                inner.extend(self._read_transport(block, datagrams, found))
            frames = joined(inner)
            if not len(frames.rows):
                break
        else:
            self.skipped[TOO_DEEP] += len(frames.rows)
        late = self._place_fragments(block, found)
        return joined_packets([*late, found.packets(block, self.noticed)])

    def finish(self) -> None:
        """Count the fragments whose first fragment never came. Call this at the end of the capture."""
        missing = self._pending.drop_all()
        if missing:
            self.skipped[_NO_FIRST] += missing

    def _read_transport(self, block: PacketBlock, datagrams: Datagrams, found: _Transport) -> list[Layers]:
        """Write the TCP and UDP packets of `datagrams` to `found`; return the packets inside tunnels."""
        protocol = datagrams.layers.kind
        later = datagrams.offset > 0
        transport = (protocol == TCP) | (protocol == UDP)
        if datagrams.fragment.any():
            found.fragments.append(datagrams.take(datagrams.fragment & transport))
        tunnels: list[Layers] = []
        tcp, udp = datagrams.take((protocol == TCP) & ~later), datagrams.take((protocol == UDP) & ~later)
        other = ~transport
        if self.decapsulate:
            tunnels, udp = self._open_tunnels(block.data, datagrams, udp)
            other = ~transport & (later | ~np.isin(protocol, (_IP_IN_IP, _IPV6_IN_IP, _GRE)))
        left_out = int(other.sum())
        if left_out:
            self.skipped["neither TCP nor UDP"] += left_out
        self._read_tcp(block.data, tcp, found)
        self._read_udp(block.data, udp, found)
        return tunnels

    def _read_tcp(self, data: np.ndarray, tcp: Datagrams, found: _Transport) -> None:
        """Write the headers of the TCP segments `tcp` to `found`; damaged ones are counted."""
        tcp = tcp.holding(16, self.skipped)
        at = tcp.layers.at
        header = (data[at + 12] >> 4).astype(np.int64) * 4
        sound = (header >= 20) & (at + header <= tcp.layers.end)
        if not sound.all():
            self.skipped["damaged TCP header"] += int((~sound).sum())
            tcp, header = tcp.take(sound), header[sound]
            at = tcp.layers.at
        found.fill(
            tcp,
            header,
            source_port=numbers_at(data, at, ">u2"),
            destination_port=numbers_at(data, at + 2, ">u2"),
            sequence=numbers_at(data, at + 4, ">u4"),
            acknowledgement=numbers_at(data, at + 8, ">u4"),
            flags=data[at + 13],
            window=numbers_at(data, at + 14, ">u2"),
        )

    def _read_udp(self, data: np.ndarray, udp: Datagrams, found: _Transport) -> None:
        udp = udp.holding(4, self.skipped)
        sound = udp.layers.at + 8 <= udp.layers.end
        if not sound.all():
            self.skipped["damaged UDP header"] += int((~sound).sum())
            udp = udp.take(sound)
        at = udp.layers.at
        ports = {"source_port": numbers_at(data, at, ">u2"), "destination_port": numbers_at(data, at + 2, ">u2")}
        found.fill(udp, 8, **ports)

    def _open_tunnels(self, data: np.ndarray, datagrams: Datagrams, udp: Datagrams) -> tuple[list[Layers], Datagrams]:
        """Return the contents of IP-in-IP, GRE and tunnels over UDP, and the UDP packets that are not tunnels."""
        layers = datagrams.layers.take(datagrams.offset == 0)
        inner = []
        for protocol, kind in ((_IP_IN_IP, IPV4), (_IPV6_IN_IP, IPV6)):
            tunnel = layers.take(layers.kind == protocol)
            inner.append(tunnel.moved(0, np.full(len(tunnel.rows), kind)))
        inner.append(inside_gre(data, layers.take(layers.kind == _GRE), self.skipped))
        carried, is_tunnel = inside_udp(data, udp.layers)
        return [*inner, carried], udp.take(~is_tunnel)

    def _place_fragments(self, block: PacketBlock, found: _Transport) -> list[Packets]:
        """Give later fragments the ports of their first fragment.

        Return the fragments of earlier blocks whose first fragment is in this block.
        """
        pieces = [
            (int(row), part, place) for part in found.fragments for place, row in enumerate(part.layers.rows.tolist())
        ]
        pieces.sort(key=lambda piece: piece[0])
        late: list[Packets] = []
        for row, part, place in pieces:
            if part.offset[place] == 0 and found.found[row]:
                packet, time = _identity(part, place), int(block.time[row])
                ports = int(found.source_port[row]), int(found.destination_port[row])
                self._fragments.remember(packet, ports, time)
                late += [_alone(*one, ports, self.noticed) for one in self._pending.take(packet, time)]
        for row, part, place in pieces:
            if part.offset[place] == 0:
                continue
            packet, piece = _identity(part, place), part.take(np.array([place]))
            known = self._fragments.ports(packet, int(block.time[row]))
            if known is not None:
                found.fill(piece, 0, source_port=known[0], destination_port=known[1])
                continue
            given_up = self._pending.add(packet, block, piece)
            if given_up:
                self.skipped[_NO_FIRST] += given_up
        return late


def _alone(block: PacketBlock, piece: Datagrams, ports: tuple[int, int], noticed: Counter[str]) -> Packets:
    """Return a fragment of an earlier block as a packet, now that its `ports` are known."""
    found = _Transport(1)
    found.fill(piece, 0, source_port=ports[0], destination_port=ports[1])
    return found.packets(block, noticed)


def _identity(part: Datagrams, place: int) -> tuple:
    """Return the key that all fragments of one packet share: addresses, version, protocol and identification."""
    names = part.version[place], part.layers.kind[place], part.identification[place]
    return (*part.source[place].tolist(), *part.destination[place].tolist(), *map(int, names))


def _is_greater(
    source: np.ndarray, source_port: np.ndarray, destination: np.ndarray, destination_port: np.ndarray
) -> np.ndarray:
    """Return whether the source endpoint is above the destination, by address and then by port: (n,) bool."""
    same = source[:, 0] == destination[:, 0]
    same_both = same & (source[:, 1] == destination[:, 1])
    return (
        (source[:, 0] > destination[:, 0])
        | (same & (source[:, 1] > destination[:, 1]))
        | (same_both & (source_port > destination_port))
    )
