"""Decapsulates tunnels, many packets at once: GRE and ERSPAN in IP; VXLAN, Geneve and GTP-U in UDP."""

from __future__ import annotations

from collections import Counter

import numpy as np

from hf_ntg.flows.capture_in.link_layer import ANY_IP, BRIDGED, PPP, Layers, joined
from hf_ntg.flows.capture_in.packet_block import numbers_at

__all__ = ["inside_gre", "inside_udp"]

_UDP_HEADER = 8
_VXLAN_PORT, _GENEVE_PORT, _GTP_PORT = 4789, 6081, 2152
_LINUX_VXLAN_PORT, _VXLAN_ALONE = 8472, 0x08000000  # Linux and flannel use this port, which is not theirs
_GTP_USER_DATA, _MOST_GTP_EXTENSIONS = 255, 8
_ERSPAN, _ERSPAN_3, _GRE_PPP = 0x88BE, 0x22EB, 0x880B


def inside_gre(data: np.ndarray, layers: Layers, skipped: Counter) -> Layers:
    """Return the contents of GRE packets.

    Checksum, key and sequence number are optional (RFC 2784, 2890). Version 1 is PPTP's, with an optional
    acknowledgement number (RFC 2637). Mirrored frames (ERSPAN) follow a further header.
    """
    layers = layers.holding(4, skipped)
    flags = numbers_at(data, layers.at, ">u2")
    plain = (flags & 0x4006) == 0  # no source routing, version 0 or 1
    if not plain.all():
        skipped["GRE of an unknown version"] += int((~plain).sum())
        layers, flags = layers.take(plain), flags[plain]
    kind = numbers_at(data, layers.at + 2, ">u2")
    is_pptp, has_number = flags & 0x0001 > 0, flags & 0x1000 > 0
    options = (flags & 0x8000 > 0).astype(np.int64) + (flags & 0x2000 > 0) + has_number
    options += is_pptp & (flags & 0x0080 > 0)
    step = 4 + 4 * options
    step += np.where((kind == _ERSPAN) & has_number, 8, 0)  # type I has neither number nor header
    third = kind == _ERSPAN_3
    last = np.minimum(layers.at + step + 11, len(data) - 1)
    step += np.where(third, np.where(data[last] & 1, 20, 12), 0)
    kind = np.where(third | (kind == _ERSPAN), BRIDGED, np.where(kind == _GRE_PPP, PPP, kind))
    return layers.moved(step, kind)


def inside_udp(data: np.ndarray, layers: Layers) -> tuple[Layers, np.ndarray]:
    """Return the contents of tunnels over UDP, by destination port, and which of `layers` are tunnels: (m,) bool."""
    held = layers.at + _UDP_HEADER + 8 <= layers.kept
    place = np.where(held, layers.at, 0)
    port, first = numbers_at(data, place + 2, ">u2"), data[place + 8]
    parts = []
    # RFC 7348: the flag for a valid network identifier
    vxlan = held & (port == _VXLAN_PORT) & (first & 0x08 > 0)
    vxlan |= held & (port == _LINUX_VXLAN_PORT) & (numbers_at(data, place + 8, ">u4") == _VXLAN_ALONE)
    tunnel = layers.take(vxlan)
    parts.append(tunnel.moved(_UDP_HEADER + 8, np.full(len(tunnel.rows), BRIDGED)))
    # RFC 8926: version 0, length of the options in words of four bytes, ethertype of what follows
    geneve = held & (port == _GENEVE_PORT) & (first & 0xC0 == 0)
    tunnel = layers.take(geneve)
    options = (data[tunnel.at + 8] & 0x3F).astype(np.int64) * 4
    parts.append(tunnel.moved(_UDP_HEADER + 8 + options, numbers_at(data, tunnel.at + 10, ">u2")))
    # 3GPP TS 29.281: version 1, protocol GTP, a message that contains a user's packet
    gtp = held & (port == _GTP_PORT) & (first & 0xF0 == 0x30) & (data[place + 9] == _GTP_USER_DATA)
    parts.append(_inside_gtp(data, layers.take(gtp)))
    return joined(parts), vxlan | geneve | gtp


def _inside_gtp(data: np.ndarray, layers: Layers) -> Layers:
    """Skip the GTP header: four optional bytes follow if any flag is set, then the extension headers."""
    flags = data[layers.at + _UDP_HEADER]
    at = layers.at + _UDP_HEADER + 8 + np.where(flags & 0x07, 4, 0)
    under_way = flags & 0x04 > 0
    for _ in range(_MOST_GTP_EXTENSIONS):
        under_way = under_way & (at < layers.kept) & (data[np.minimum(at - 1, len(data) - 1)] > 0)
        if not under_way.any():
            break
        words = data[np.where(under_way, at, 0)].astype(np.int64)
        at = np.where(under_way, at + 4 * np.maximum(words, 1), at)
    return layers.moved(at - layers.at, np.full(len(layers.rows), ANY_IP))
