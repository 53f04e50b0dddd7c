"""Skips the headers between the link's own header and IP: Ethernet, VLAN tags, MPLS labels, PPP, PPPoE, LLC.

Works on many packets at once. `Layers` holds the packets that have reached the same stage.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields

import numpy as np

from hf_ntg.flows.capture_in.packet_block import numbers_at

__all__ = [
    "ANY_IP",
    "BRIDGED",
    "CUT_OFF",
    "IPV4",
    "IPV6",
    "LLC",
    "MPLS",
    "OTHER",
    "PPP",
    "PPPOE",
    "TOO_DEEP",
    "Layers",
    "joined",
    "peel_to_ip",
]

# Kinds of header: ethertypes, and numbers of this module for kinds that have no ethertype.
IPV4, IPV6, BRIDGED, PPPOE, MPLS = 0x0800, 0x86DD, 0x6558, 0x8864, 0x8847
LLC, ANY_IP, OTHER, PPP = 0, -1, -2, -3
_VLAN_TAGS = (0x8100, 0x88A8, 0x9100, 0x9200, 0x9300)
_MPLS_TYPES, _BACKBONE = (MPLS, 0x8848), 0x88E7
_LLC_BELOW = 0x0600  # smaller "ethertypes" are lengths, and an LLC header follows
_PPP_PROTOCOLS = {0x0021: IPV4, 0x0057: IPV6, 0x0281: MPLS}
_MAX_NESTING = 16

CUT_OFF = "cut off inside a header"
TOO_DEEP = "headers nested too deep"


@dataclass(frozen=True)
class Layers:
    """m packets of a block, each with the position of one of its headers.

    Attributes:
        rows: (m,) rows of the packets in their block. at: (m,) byte where the header begins. kind: (m,) its kind.
        kept: (m,) end of the captured bytes, exclusive. end: (m,) end of the bytes on the wire, exclusive.
    """

    rows: np.ndarray
    at: np.ndarray
    kind: np.ndarray
    kept: np.ndarray
    end: np.ndarray

    def take(self, chosen: np.ndarray) -> Layers:
        return Layers(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def holding(self, size: int, skipped: Counter) -> Layers:
        """Return the packets of which `size` bytes were captured; count the others as cut off."""
        whole = self.at + size <= self.kept
        if whole.all():
            return self
        skipped[CUT_OFF] += int((~whole).sum())
        return self.take(whole)

    def moved(self, step: int | np.ndarray, kind: np.ndarray) -> Layers:
        """Return the packets at the next header, which is `step` bytes further and of this `kind`."""
        return Layers(self.rows, self.at + step, kind, self.kept, self.end)


def peel_to_ip(data: np.ndarray, frames: Layers, skipped: Counter) -> tuple[Layers, Layers]:
    """Skip the tags and labels of `frames`; return the packets that contain IPv4, and those that contain IPv6."""
    parts = []
    for _ in range(_MAX_NESTING):
        kind = frames.kind
        arrived = (kind == IPV4) | (kind == IPV6)
        parts.append(frames.take(arrived))
        under_way = (
            (kind == BRIDGED)
            | (kind == ANY_IP)
            | (kind == PPPOE)
            | (kind == PPP)
            | (kind == _BACKBONE)
            | np.isin(kind, _VLAN_TAGS + _MPLS_TYPES)
            | ((kind >= 0) & (kind < _LLC_BELOW))
        )
        other = int((~arrived & ~under_way).sum())
        if other:
            skipped["not IP"] += other
        frames = frames.take(under_way)
        if not len(frames.rows):
            break
        frames = _peel_one(data, frames, skipped)
    else:
        skipped[TOO_DEEP] += len(frames.rows)
    found = joined(parts)
    return found.take(found.kind == IPV4), found.take(found.kind == IPV6)


def _peel_one(data: np.ndarray, frames: Layers, skipped: Counter) -> Layers:
    """Move every frame one header further."""
    parts = []
    for chosen, size, peel in (
        (frames.kind == BRIDGED, 14, _peel_ethernet),
        (frames.kind == ANY_IP, 1, _peel_version),
        (np.isin(frames.kind, _VLAN_TAGS), 4, _peel_vlan),
        (np.isin(frames.kind, _MPLS_TYPES), 5, _peel_mpls),
        (frames.kind == PPPOE, 8, _peel_pppoe),
        (frames.kind == PPP, 4, _peel_ppp),
        (frames.kind == _BACKBONE, 18, _peel_backbone),
        ((frames.kind >= 0) & (frames.kind < _LLC_BELOW), 8, _peel_llc),
    ):
        if chosen.any():
            part = frames if chosen.all() else frames.take(chosen)
            parts.append(peel(data, part.holding(size, skipped)))
    return joined(parts)


def _peel_ethernet(data: np.ndarray, frames: Layers) -> Layers:
    return frames.moved(14, numbers_at(data, frames.at + 12, ">u2"))


def _peel_version(data: np.ndarray, frames: Layers) -> Layers:
    return frames.moved(0, _ip_kind(data[frames.at] >> 4))


def _peel_vlan(data: np.ndarray, frames: Layers) -> Layers:
    return frames.moved(4, numbers_at(data, frames.at + 2, ">u2"))


def _peel_mpls(data: np.ndarray, frames: Layers) -> Layers:
    """Skip one label. The first bits after the last one show what follows (RFC 4928: 0 begins a control word)."""
    bottom, nibble = (data[frames.at + 2] & 1) == 1, data[frames.at + 4] >> 4
    pseudowire = bottom & (nibble == 0)
    kind = np.where(bottom, np.where(pseudowire, BRIDGED, _ip_kind(nibble)), frames.kind)
    return frames.moved(np.where(pseudowire, 8, 4), kind)


def _peel_pppoe(data: np.ndarray, frames: Layers) -> Layers:
    return frames.moved(8, _ppp_kind(numbers_at(data, frames.at + 6, ">u2")))


def _peel_ppp(data: np.ndarray, frames: Layers) -> Layers:
    """Skip a PPP header. Address, control and a first protocol byte of 0 are optional (RFC 1661, 6.5 and 6.6)."""
    at = frames.at + np.where(numbers_at(data, frames.at, ">u2") == 0xFF03, 2, 0)
    is_short = data[at] & 1 == 1
    protocol = np.where(is_short, data[at], numbers_at(data, at, ">u2"))
    return frames.moved(at - frames.at + np.where(is_short, 1, 2), _ppp_kind(protocol))


def _ppp_kind(protocol: np.ndarray) -> np.ndarray:
    kind = np.full(len(protocol), OTHER)
    for number, name in _PPP_PROTOCOLS.items():
        kind[protocol == number] = name
    return kind


def _peel_backbone(data: np.ndarray, frames: Layers) -> Layers:
    """Skip the service tag of a provider's backbone bridge; the customer's whole frame follows it (IEEE 802.1ah)."""
    return frames.moved(4, np.full(len(frames.rows), BRIDGED))


def _peel_llc(data: np.ndarray, frames: Layers) -> Layers:
    """Skip an LLC and SNAP header that holds an ethertype (RFC 1042). Any other LLC frame is not IP."""
    snap = numbers_at(data, frames.at, ">u4") == 0xAAAA0300
    snap &= numbers_at(data, frames.at + 4, ">u2") == 0
    ethertype = numbers_at(data, frames.at + 6, ">u2")
    return frames.moved(8, np.where(snap & (ethertype >= _LLC_BELOW), ethertype, OTHER))


def _ip_kind(version: np.ndarray) -> np.ndarray:
    return np.where(version == 4, IPV4, np.where(version == 6, IPV6, OTHER))


def joined(parts: list[Layers]) -> Layers:
    """Concatenate all `parts`."""
    if not parts:
        return Layers(*(np.empty(0, np.int64) for _ in fields(Layers)))
    if len(parts) == 1:
        return parts[0]
    return Layers(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Layers)))
