"""Cuts datagrams that are longer than the MTU into IP fragments (RFC 791, section 3.2; RFC 8200, section 4.5)."""

from __future__ import annotations

import struct

from hf_ntg.flows.schema import UDP

__all__ = ["UDP_HEADER", "cut_datagram", "fragment_room", "largest_datagram", "pcap_records", "pcapng_records"]

UDP_HEADER = 8
_ETHERNET, _IP = 14, {4: 20, 6: 40}
_FRAGMENT_HEADER, _FRAGMENT = 8, 44


def largest_datagram(version: int, mtu: int) -> int:
    """Return the longest UDP payload, in bytes, that fits one IP packet of at most `mtu` bytes."""
    return mtu - _IP[version] - UDP_HEADER


def fragment_room(version: int, mtu: int) -> int:
    """Return the bytes of a datagram, header included, in every fragment except the last: a multiple of 8."""
    return (mtu - _IP[version] - (_FRAGMENT_HEADER if version == 6 else 0)) // 8 * 8


def cut_datagram(frame: bytes, version: int, mtu: int, number: int) -> list[bytes]:
    """Return the Ethernet frames of the fragments of a datagram.

    Args:
        frame: the Ethernet frame that holds the whole datagram; bytes after it are ignored. number: identification.
    """
    link, header = frame[:_ETHERNET], frame[_ETHERNET : _ETHERNET + _IP[version]]
    size = struct.unpack(">H", header[2:4])[0] - _IP[4] if version == 4 else struct.unpack(">H", header[4:6])[0]
    begin = _ETHERNET + _IP[version]
    datagram = frame[begin : begin + size]
    room, frames = fragment_room(version, mtu), []
    for place in range(0, len(datagram), room):
        piece, more = datagram[place : place + room], place + room < len(datagram)
        head = (
            _ipv4(header, len(piece), place, more, number)
            if version == 4
            else _ipv6(header, len(piece), place, more, number)
        )
        frames.append(link + head + piece)
    return frames


def _ipv4(header: bytes, size: int, place: int, more: bool, number: int) -> bytes:
    fields = struct.pack(">HHHBBH", _IP[4] + size, number, more << 13 | place // 8, header[8], header[9], 0)
    head = header[:2] + fields + header[12:]
    total = sum(struct.unpack(">10H", head))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return head[:10] + struct.pack(">H", ~total & 0xFFFF) + head[12:]


def _ipv6(header: bytes, size: int, place: int, more: bool, number: int) -> bytes:
    extension = struct.pack(">BBHI", UDP, 0, place | more, number)
    return header[:4] + struct.pack(">HB", size + _FRAGMENT_HEADER, _FRAGMENT) + header[7:] + extension


def pcap_records(record: bytes, frames: list[bytes]) -> bytes:
    """Return pcap records of `frames` with the time of the pcap record `record`."""
    return b"".join(record[:8] + struct.pack("<II", len(frame), len(frame)) + frame for frame in frames)


def pcapng_records(record: bytes, frames: list[bytes]) -> bytes:
    """Return pcapng packet blocks of `frames` with the time of the block `record`; the first one gets its options."""
    captured = struct.unpack_from("<I", record, 20)[0]
    options, blocks = record[28 + captured + -captured % 4 : -4], []
    for frame in frames:
        body = record[8:20] + struct.pack("<II", len(frame), len(frame)) + frame + bytes(-len(frame) % 4) + options
        size = struct.pack("<I", len(body) + 12)
        blocks.append(record[:4] + size + body + size)
        options = b""
    return b"".join(blocks)
