"""Skips the link's own header, by link type (https://www.tcpdump.org/linktypes.html).

Works on many packets at once. Some link headers wrap another link: they name its type, and the packets are
processed again with that type.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from hf_ntg.flows.capture_in.link_layer import (
    ANY_IP,
    BRIDGED,
    IPV4,
    IPV6,
    MPLS,
    OTHER,
    PPP,
    PPPOE,
    TOO_DEEP,
    Layers,
    joined,
)
from hf_ntg.flows.capture_in.packet_block import PacketBlock, numbers_at
from hf_ntg.flows.capture_in.wireless import skip_radiotap, skip_wireless

__all__ = ["first_layers"]

_Peel = Callable[[np.ndarray, Layers, Counter], Layers]
_MOST_WRAPS = 3
_NFLOG_PAYLOAD, _MOST_NFLOG_FIELDS = 9, 40
_KNOWN_AS = {  # names of link types that carry no IP
    187: "Bluetooth", 189: "USB", 195: "IEEE 802.15.4", 201: "Bluetooth", 220: "USB",
    227: "CAN bus", 249: "USB", 251: "Bluetooth LE", 254: "Bluetooth", 253: "netlink",
}  # fmt: skip


def first_layers(block: PacketBlock, skipped: Counter) -> Layers:
    """Return the packets of `block`, positioned at the first header after the link's own header."""
    kept, end = block.start + block.captured, block.start + np.maximum(block.wire, block.captured)
    frames = Layers(np.arange(len(block)), block.start, np.full(len(block), OTHER), kept, end)
    parts, link = [], block.link
    for _ in range(_MOST_WRAPS):
        wrapped, links = [], []
        for number in np.unique(link).tolist():
            chosen = frames.take(link == number)
            if number in _LINKS:
                size, peel = _LINKS[number]
                parts.append(peel(block.data, chosen.holding(size, skipped), skipped))
            elif number in _WRAPPERS:
                size, unwrap = _WRAPPERS[number]
                inner, inner_link = unwrap(block.data, chosen.holding(size, skipped))
                wrapped.append(inner)
                links.append(inner_link)
            else:
                skipped[_not_understood(number)] += len(chosen.rows)
        if not wrapped:
            return joined(parts)
        frames, link = joined(wrapped), np.concatenate(links)
    skipped[TOO_DEEP] += len(frames.rows)
    return joined(parts)


def _not_understood(link: int) -> str:
    if link < 0:
        return "an interface that was never described"
    name = f" ({_KNOWN_AS[link]})" if link in _KNOWN_AS else ""
    return f"link type {link}{name} not understood"


def _as(kind: int, step: int = 0) -> _Peel:
    """Skip a header of `step` bytes that is always followed by the same kind of header."""
    return lambda data, frames, skipped: frames.moved(step, np.full(len(frames.rows), kind))


def _ethertype_at(place: int, step: int) -> _Peel:
    """Skip a header of `step` bytes with an ethertype at byte `place`."""
    return lambda data, frames, skipped: frames.moved(step, numbers_at(data, frames.at + place, ">u2"))


def _ppp_or_hdlc(data: np.ndarray, frames: Layers, _skipped: Counter) -> Layers:
    """Skip the header of PPP in HDLC-like frames, or of Cisco HDLC; the address byte shows which one it is."""
    is_cisco = np.isin(data[frames.at], (0x0F, 0x8F))
    kind = np.where(is_cisco, numbers_at(data, frames.at + 2, ">u2"), PPP)
    return frames.moved(np.where(is_cisco, 4, 0), kind)


def _frame_relay(data: np.ndarray, frames: Layers, _skipped: Counter) -> Layers:
    """Skip a frame relay header: two address bytes, then a UI control byte and an NLPID (RFC 2427) or an ethertype."""
    control, protocol = data[frames.at + 2], data[frames.at + 3]
    kind = np.where(protocol == 0xCC, IPV4, np.where(protocol == 0x8E, IPV6, OTHER))
    is_nlpid = control == 0x03
    return frames.moved(4, np.where(is_nlpid, kind, numbers_at(data, frames.at + 2, ">u2")))


def _packet_filter(data: np.ndarray, frames: Layers, _skipped: Counter) -> Layers:
    """Skip the header of OpenBSD's pflog. Its first byte is its length, which is padded to a multiple of four."""
    return frames.moved((data[frames.at].astype(np.int64) + 3) // 4 * 4, np.full(len(frames.rows), ANY_IP))


def _netfilter_log(data: np.ndarray, frames: Layers, _skipped: Counter) -> Layers:
    """Find the packet among the fields of Linux NFLOG, which have a length, a type and a value."""
    at, kind = frames.at + 4, np.full(len(frames.rows), OTHER)
    under_way = np.ones(len(at), bool)
    for _ in range(_MOST_NFLOG_FIELDS):
        under_way &= at + 4 <= frames.kept
        if not under_way.any():
            break
        place = np.where(under_way, at, 0)
        size, field = numbers_at(data, place, "<u2"), numbers_at(data, place + 2, "<u2") & 0x7FFF
        found = under_way & (field == _NFLOG_PAYLOAD)
        kind[found] = ANY_IP
        under_way &= ~found & (size >= 4)
        at = np.where(found, at + 4, np.where(under_way, at + (size + 3) // 4 * 4, at))
    return frames.moved(at - frames.at, kind)


def _packet_tap(data: np.ndarray, frames: Layers) -> tuple[Layers, np.ndarray]:
    """Skip the header of Apple's PKTAP: length of the header, type, link type."""
    size = np.clip(numbers_at(data, frames.at, "<u4"), 12, 1 << 16)
    return frames.moved(size, frames.kind), numbers_at(data, frames.at + 8, "<u4")


def _per_packet_information(data: np.ndarray, frames: Layers) -> tuple[Layers, np.ndarray]:
    """Skip the header of CACE's PPI: version, flags, length of the header, link type."""
    size = np.maximum(numbers_at(data, frames.at + 2, "<u2"), 8)
    return frames.moved(size, frames.kind), numbers_at(data, frames.at + 4, "<u4")


# By link type: the bytes that must have been captured, and the function that skips the header.
_LINKS: dict[int, tuple[int, _Peel]] = {
    0: (4, _as(ANY_IP, 4)),  # BSD loopback: the address family has an unknown byte order; use the IP version
    1: (14, _as(BRIDGED)),  # Ethernet
    9: (4, _as(PPP)),
    50: (4, _ppp_or_hdlc),
    51: (8, _as(PPPOE)),
    104: (4, _ethertype_at(2, 4)),  # Cisco HDLC
    105: (24, skip_wireless),  # IEEE 802.11
    107: (4, _frame_relay),
    108: (4, _as(ANY_IP, 4)),  # OpenBSD loopback
    109: (12, _as(ANY_IP, 12)),  # OpenBSD enc
    113: (16, _ethertype_at(14, 16)),  # Linux cooked
    117: (4, _packet_filter),
    119: (144, lambda data, frames, skipped: skip_wireless(data, frames.moved(144, frames.kind), skipped)),  # Prism
    127: (8, skip_radiotap),
    163: (64, lambda data, frames, skipped: skip_wireless(data, frames.moved(64, frames.kind), skipped)),  # AVS
    219: (5, _as(MPLS)),
    239: (8, _netfilter_log),
    276: (20, _ethertype_at(0, 20)),  # Linux cooked, version 2
    **dict.fromkeys((12, 14, 101, 228, 229), (1, _as(ANY_IP))),  # raw IP; 12 and 14 are BSD's numbers for it
}
_WRAPPERS: dict[int, tuple[int, Callable[[np.ndarray, Layers], tuple[Layers, np.ndarray]]]] = {
    192: (8, _per_packet_information),
    258: (12, _packet_tap),
    149: (12, _packet_tap),
}
