"""IPv4 and IPv6 headers of many packets at once: addresses, fragments, extension headers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields

import numpy as np

from hf_ntg.flows.capture_in.link_layer import CUT_OFF, Layers
from hf_ntg.flows.capture_in.packet_block import numbers_at

__all__ = ["Datagrams", "read_ipv4", "read_ipv6"]

_IPV6_OPTIONS, _AUTHENTICATION, _FRAGMENT = (0, 43, 60, 135, 139, 140), 51, 44
_DAMAGED = "damaged IP header"


@dataclass
class Datagrams:
    """m IP packets, positioned at the header after the IP header. The `kind` in `layers` is the protocol number."""

    layers: Layers
    source: np.ndarray  # (m, 2) uint64
    destination: np.ndarray  # (m, 2) uint64
    version: np.ndarray  # (m,)
    fragment: np.ndarray  # (m,) bool: the packet is a fragment
    offset: np.ndarray  # (m,) offset of the fragment in its packet
    identification: np.ndarray  # (m,)

    def take(self, chosen: np.ndarray) -> Datagrams:
        return Datagrams(self.layers.take(chosen), *(getattr(self, field.name)[chosen] for field in fields(self)[1:]))

    def holding(self, size: int, skipped: Counter) -> Datagrams:
        """Return the packets of which `size` more bytes were captured; count the others as cut off."""
        whole = self.layers.at + size <= self.layers.kept
        if whole.all():
            return self
        skipped[CUT_OFF] += int((~whole).sum())
        return self.take(whole)


def read_ipv4(data: np.ndarray, layers: Layers, skipped: Counter) -> Datagrams:
    """Read the IPv4 headers at `layers` of a block's `data`; damaged ones are counted in `skipped`."""
    layers = layers.holding(20, skipped)
    at = layers.at
    header = (data[at] & 15).astype(np.int64) * 4
    total = numbers_at(data, at + 2, ">u2")
    end = np.where(total > 0, at + total, layers.end)
    sound = (data[at] >> 4 == 4) & (header >= 20) & (at + header <= end)
    if not sound.all():
        skipped[_DAMAGED] += int((~sound).sum())
        layers, header, end = layers.take(sound), header[sound], end[sound]
        at = layers.at
    fragmentation = numbers_at(data, at + 6, ">u2")
    addresses = np.zeros((2, len(at), 2), np.uint64)
    addresses[0, :, 1], addresses[1, :, 1] = numbers_at(data, at + 12, ">u4"), numbers_at(data, at + 16, ">u4")
    datagrams = Datagrams(
        layers=Layers(layers.rows, at + header, data[at + 9].astype(np.int64), layers.kept, end),
        source=addresses[0],
        destination=addresses[1],
        version=np.full(len(at), 4),
        fragment=(fragmentation & 0x3FFF) > 0,  # more fragments follow, or it is not the first one
        offset=fragmentation & 0x1FFF,
        identification=numbers_at(data, at + 4, ">u2"),
    )
    return _pass_extensions(data, datagrams, (_AUTHENTICATION,), skipped)


def read_ipv6(data: np.ndarray, layers: Layers, skipped: Counter) -> Datagrams:
    """Read the IPv6 headers at `layers`, as :func:`read_ipv4` does."""
    layers = layers.holding(40, skipped)
    at = layers.at
    size = numbers_at(data, at + 4, ">u2")
    end = np.where(size > 0, at + 40 + size, layers.end)
    sound = data[at] >> 4 == 6
    if not sound.all():
        skipped[_DAMAGED] += int((~sound).sum())
        layers, end = layers.take(sound), end[sound]
        at = layers.at
    words = [numbers_at(data, at + place, ">u8").astype(np.uint64) for place in (8, 16, 24, 32)]
    datagrams = Datagrams(
        layers=Layers(layers.rows, at + 40, data[at + 6].astype(np.int64), layers.kept, end),
        source=np.stack(words[:2], axis=1),
        destination=np.stack(words[2:], axis=1),
        version=np.full(len(at), 6),
        fragment=np.zeros(len(at), bool),
        offset=np.zeros(len(at), np.int64),
        identification=np.zeros(len(at), np.int64),
    )
    return _pass_extensions(data, datagrams, (*_IPV6_OPTIONS, _AUTHENTICATION, _FRAGMENT), skipped)


def _pass_extensions(data: np.ndarray, datagrams: Datagrams, kinds: tuple[int, ...], skipped: Counter) -> Datagrams:
    """Skip headers of `kinds` up to the transport header, and record fragments. The headers are IPv6 extensions
    (RFC 8200, section 4) and IPsec's authentication header (RFC 4302)."""
    while True:
        kind = datagrams.layers.kind
        extended = np.isin(kind, kinds) & (datagrams.offset == 0)
        if not extended.any():
            return datagrams
        layers = datagrams.layers
        short = extended & ((layers.at + 8 > layers.kept) | (layers.at + 8 > layers.end))
        if short.any():
            skipped[CUT_OFF] += int(short.sum())
            datagrams, extended = datagrams.take(~short), extended[~short]
            layers = datagrams.layers
        at = layers.at[extended]
        kind, units = layers.kind[extended], data[at + 1].astype(np.int64)
        is_fragment = kind == _FRAGMENT
        step = np.where(is_fragment, 8, np.where(kind == _AUTHENTICATION, (units + 2) * 4, (units + 1) * 8))
        where = np.flatnonzero(extended)[is_fragment]
        fragmentation = numbers_at(data, at[is_fragment] + 2, ">u2")
        datagrams.fragment[where] |= (fragmentation & 0xFFF9) > 0
        datagrams.offset[where] = fragmentation >> 3
        datagrams.identification[where] = numbers_at(data, at[is_fragment] + 4, ">u4")
        moved_at, moved_kind = layers.at.copy(), layers.kind.copy()
        moved_at[extended] += step
        moved_kind[extended] = data[at]
        datagrams.layers = Layers(layers.rows, moved_at, moved_kind, layers.kept, layers.end)
