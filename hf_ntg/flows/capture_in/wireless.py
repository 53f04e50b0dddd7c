"""Decodes IEEE 802.11 frames, with or without a radio header before them, up to their LLC header."""

from __future__ import annotations

from collections import Counter

import numpy as np

from hf_ntg.flows.capture_in.link_layer import LLC, Layers
from hf_ntg.flows.capture_in.packet_block import numbers_at

__all__ = ["skip_radiotap", "skip_wireless"]

_HEADER, _FOURTH_ADDRESS, _QOS, _HT_CONTROL = 24, 6, 2, 4
_SNAP = 0xAAAA


def skip_radiotap(data: np.ndarray, frames: Layers, skipped: Counter) -> Layers:
    """Skip a radiotap header (https://www.radiotap.org): version, padding, and its length in two bytes."""
    size = np.maximum(numbers_at(data, frames.at + 2, "<u2"), 8)
    return skip_wireless(data, frames.moved(size, frames.kind), skipped)


def skip_wireless(data: np.ndarray, frames: Layers, skipped: Counter) -> Layers:
    """Return the data frames of `frames` at their LLC header (IEEE 802.11, 9.3.2); count the others by reason.

    Some cards pad the header to a multiple of four bytes: then the LLC header is two bytes further.
    """
    frames = frames.holding(_HEADER, skipped)
    control, flags = data[frames.at], data[frames.at + 1]
    has_data = (control & 0x0F == 0x08) & (control & 0x40 == 0)  # version 0, type data, not a null frame
    is_open = flags & 0x40 == 0
    is_qos = control & 0x80 > 0
    size = _HEADER + np.where(flags & 0x03 == 0x03, _FOURTH_ADDRESS, 0)
    quality = frames.at + size
    aggregated = is_qos & (quality < frames.kept) & (data[np.minimum(quality, len(data) - 1)] & 0x80 > 0)
    size = size + np.where(is_qos, _QOS, 0) + np.where(is_qos & (flags & 0x80 > 0), _HT_CONTROL, 0)
    for reason, rows in (
        ("802.11 frames that are no data", ~has_data),
        ("encrypted 802.11 frames", has_data & ~is_open),
        ("802.11 frames of several packets", has_data & is_open & aggregated),
    ):
        if rows.any():
            skipped[reason] += int(rows.sum())
    kept = has_data & is_open & ~aggregated
    frames, size = frames.take(kept), size[kept]
    place = np.minimum(frames.at + size, len(data) - 8)
    is_padded = (numbers_at(data, place, ">u2") != _SNAP) & (numbers_at(data, place + 2, ">u2") == _SNAP)
    return frames.moved(size + np.where(is_padded, 2, 0), np.full(len(frames.rows), LLC))
