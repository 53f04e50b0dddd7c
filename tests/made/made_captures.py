"""Captures made in memory, byte by byte, for the tests of the readers."""

from __future__ import annotations

import struct

ETHERNET, RAW_IP = 1, 101
FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
CLIENT, SERVER = "192.0.2.1", "198.51.100.2"


def address(text: str) -> bytes:
    """The bytes of an IPv4 or IPv6 address."""
    import ipaddress

    return ipaddress.ip_address(text).packed


def tcp(source_port, destination_port, flags=ACK, payload=b"", seq=0, ack=0, window=1000, options=b""):
    """A TCP segment; checksums are left at 0."""
    offset = (20 + len(options)) // 4 << 4
    head = struct.pack(">HHIIBBHHH", source_port, destination_port, seq, ack, offset, flags, window, 0, 0)
    return head + options + payload


def udp(source_port, destination_port, payload=b""):
    """A UDP datagram."""
    return struct.pack(">HHHH", source_port, destination_port, 8 + len(payload), 0) + payload


def ipv4(source, destination, protocol, payload, *, total=None, identification=1, fragment=0):
    """An IPv4 packet; `total` overrides its length field, `fragment` is the flags and offset field."""
    total = 20 + len(payload) if total is None else total
    head = struct.pack(">BBHHHBBH", 0x45, 0, total, identification, fragment, 64, protocol, 0)
    return head + address(source) + address(destination) + payload


def ipv6(source, destination, next_header, payload, *, size=None):
    """An IPv6 packet; `size` overrides its payload length field."""
    size = len(payload) if size is None else size
    return struct.pack(">IHBB", 6 << 28, size, next_header, 64) + address(source) + address(destination) + payload


def ethernet(payload, ethertype=0x0800):
    """An Ethernet frame."""
    return bytes(12) + struct.pack(">H", ethertype) + payload


def pcap(packets, *, link=ETHERNET, order="<", magic=0xA1B2C3D4, tick=1e-6, extra=b"", snap=None):
    """A pcap file of (seconds, bytes) pairs; `extra` bytes follow every record header, `snap` cuts what is kept."""
    out = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snap or 262144, link)]
    for time, data in packets:
        ticks = round(time / tick)
        per_second = round(1 / tick)
        kept = data[:snap]
        fields = (ticks // per_second, ticks % per_second, len(kept), len(data))
        out.append(struct.pack(order + "IIII", *fields) + extra + kept)
    return b"".join(out)


def conversation(sizes, *, start=0.0, step=0.01, ports=(40000, 443), isn=(100, 900), close=True):
    """(time, IPv4 packet) pairs of one TCP connection: handshake, signed payload sizes, both FINs and the last ACK."""
    ends, packets = (CLIENT, SERVER), []
    sequence = list(isn)

    def send(side, flags, size=0):
        ack = sequence[1 - side] if flags & ACK else 0
        segment = tcp(ports[side], ports[1 - side], flags, bytes(size), sequence[side], ack)
        packets.append((start + step * len(packets), ipv4(ends[side], ends[1 - side], 6, segment)))
        sequence[side] += size + bool(flags & (SYN | FIN))

    send(0, SYN)
    send(1, SYN | ACK)
    send(0, ACK)
    for size in sizes:
        send(int(size < 0), PSH | ACK, abs(size))
    if close:
        send(0, FIN | ACK)
        send(1, FIN | ACK)
        send(0, ACK)
    return packets
