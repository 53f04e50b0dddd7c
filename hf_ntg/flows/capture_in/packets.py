"""What a packet's headers tell of its flow, from the frame to TCP and UDP, whole blocks of packets at a time.

Every layer is peeled off by NumPy gathers from those packets of the block that have it, so a rare header costs no more
than its own packets. A packet that cannot be read is left out and counted by reason; nothing is guessed.

Payload lengths come from the IP header, never from what was captured: neither a snap length nor Ethernet padding does
harm. An IP length of 0, which cards leave that do the segmentation, means "as long as the frame".
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from hf_ntg.flows.capture_in.capture_file import PacketBlock, numbers_at
from hf_ntg.flows.capture_in.fragments import FragmentTable
from hf_ntg.flows.capture_in.link_layer import IPV4, IPV6, TOO_DEEP, Layers, joined, peel_to_ip
from hf_ntg.flows.capture_in.link_types import first_layers
from hf_ntg.flows.capture_in.network_layer import Datagrams, read_ipv4, read_ipv6
from hf_ntg.flows.capture_in.tunnels import inside_gre, inside_udp
from hf_ntg.flows.schema import MAX_PAYLOAD, TCP, UDP

__all__ = ["ACK", "FIN", "RST", "SYN", "PacketDecoder", "Packets"]

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
_IP_IN_IP, _IPV6_IN_IP, _GRE = 4, 41, 47
_MAX_NESTING = 8


@dataclass(frozen=True)
class Packets:
    """n TCP and UDP packets, in order of capture.

    Attributes:
        number: (n,) int64 number of the packet in its capture, from 0. time: (n,) int64 nanoseconds since 1970.
        key: (n, 5) uint64 both endpoints, the lower first: two words of address each; then ports, protocol, IP version.
        side: (n,) int8 0 where the lower endpoint sent the packet, 1 where the higher did.
        length: (n,) int32 transport payload in bytes. window: (n,) int32 raw TCP field, 0 for UDP.
        flags: (n,) uint8 TCP flags, 0 for UDP. sequence, acknowledgement: (n,) int64, 0 for UDP.
        header: (n,) int32 bytes of the transport header; 0 for a fragment behind the first.
        payload: (n,) int64 byte of the block's data where the payload begins. kept: (n,) int64 captured bytes of it.
        data: the block's data.
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
    header: np.ndarray
    payload: np.ndarray
    kept: np.ndarray
    data: np.ndarray

    def __len__(self) -> int:
        return len(self.number)


class _Transport:
    """The transport facts of a block's packets, filled in as they are found."""

    def __init__(self, count: int) -> None:
        self.found = np.zeros(count, bool)
        self.source = np.zeros((count, 2), np.uint64)
        self.destination = np.zeros((count, 2), np.uint64)
        self.version = np.zeros(count, np.int64)
        self.fragments: list[Datagrams] = []
        for name in ("source_port", "destination_port", "protocol", "length", "window", "sequence"):
            setattr(self, name, np.zeros(count, np.int64))
        for name in ("acknowledgement", "flags", "header", "payload", "kept"):
            setattr(self, name, np.zeros(count, np.int64))

    def fill(self, datagrams: Datagrams, header: int | np.ndarray, **facts: int | np.ndarray) -> None:
        """Write down the packets of `datagrams`, whose transport header takes `header` bytes."""
        layers, rows = datagrams.layers, datagrams.layers.rows
        self.found[rows] = True
        self.source[rows], self.destination[rows] = datagrams.source, datagrams.destination
        self.version[rows], self.protocol[rows] = datagrams.version, layers.kind
        self.length[rows] = layers.end - layers.at - header
        self.header[rows] = header
        self.payload[rows] = layers.at + header
        self.kept[rows] = np.clip(np.minimum(layers.kept, layers.end) - layers.at - header, 0, None)
        for name, values in facts.items():
            getattr(self, name)[rows] = values

    def packets(self, block: PacketBlock, noticed: Counter) -> Packets:
        """The packets found, with their endpoints in order."""
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
            header=self.header[rows].astype(np.int32),
            payload=self.payload[rows],
            kept=self.kept[rows],
            data=block.data,
        )


class PacketDecoder:
    """Decodes the blocks of one capture, in order.

    Args:
        decapsulate: look inside tunnels (see `tunnels`); without it, those over UDP are UDP and the others are neither
            TCP nor UDP.

    Attributes:
        skipped: how many packets were left out, by reason. noticed: what else is worth saying, counted.
    """

    def __init__(self, decapsulate: bool = False) -> None:
        self.decapsulate = decapsulate
        self.skipped: Counter[str] = Counter()
        self.noticed: Counter[str] = Counter()
        self._fragments = FragmentTable()

    def decode(self, block: PacketBlock) -> Packets:
        """The TCP and UDP packets of `block`."""
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
        self._place_fragments(block, found)
        return found.packets(block, self.noticed)

    def _read_transport(self, block: PacketBlock, datagrams: Datagrams, found: _Transport) -> list[Layers]:
        """Write the TCP and UDP packets among `datagrams` to `found`; give back what is inside tunnels."""
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
        """What IP-in-IP, GRE and tunnels over UDP carry, and the UDP packets that are none."""
        layers = datagrams.layers.take(datagrams.offset == 0)
        inner = []
        for protocol, kind in ((_IP_IN_IP, IPV4), (_IPV6_IN_IP, IPV6)):
            tunnel = layers.take(layers.kind == protocol)
            inner.append(tunnel.moved(0, np.full(len(tunnel.rows), kind)))
        inner.append(inside_gre(data, layers.take(layers.kind == _GRE), self.skipped))
        carried, is_tunnel = inside_udp(data, udp.layers)
        return [*inner, carried], udp.take(~is_tunnel)

    def _place_fragments(self, block: PacketBlock, found: _Transport) -> None:
        """Give the later fragments the ports of the first, in order of capture."""
        pieces = [
            (int(row), part, place) for part in found.fragments for place, row in enumerate(part.layers.rows.tolist())
        ]
        for row, part, place in sorted(pieces, key=lambda piece: piece[0]):
            time, protocol = int(block.time[row]), part.layers.kind[place]
            identity = (part.version[place], protocol, part.identification[place])
            packet = (*part.source[place].tolist(), *part.destination[place].tolist(), *map(int, identity))
            if part.offset[place] == 0:
                if found.found[row]:
                    ports = int(found.source_port[row]), int(found.destination_port[row])
                    self._fragments.remember(packet, ports, time)
                continue
            ports = self._fragments.ports(packet, time)
            if ports is None:
                self.skipped["IP fragment whose first fragment was not seen"] += 1
            else:
                piece = part.take(np.array([place]))
                found.fill(piece, 0, source_port=ports[0], destination_port=ports[1])


def _is_greater(source: np.ndarray, source_port: np.ndarray, destination: np.ndarray, destination_port: np.ndarray):
    """(n,) bool: is the source endpoint above the destination endpoint, by address and then by port?"""
    same = source[:, 0] == destination[:, 0]
    same_both = same & (source[:, 1] == destination[:, 1])
    return (
        (source[:, 0] > destination[:, 0])
        | (same & (source[:, 1] > destination[:, 1]))
        | (same_both & (source_port > destination_port))
    )
