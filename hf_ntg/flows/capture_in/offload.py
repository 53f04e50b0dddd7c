"""TCP super-frames: what a card that does the segmentation shows to a capture, and what went over the wire."""

from __future__ import annotations

import numpy as np

from hf_ntg.flows.capture_in.packets import Packets

__all__ = ["ETHERNET_SEGMENT", "announced_segment", "segment_sizes", "split_segments"]

ETHERNET_SEGMENT = {4: 1460, 6: 1440}  # by IP version: what fits 1,500 bytes without TCP options
_END, _NO_OPERATION, _MAXIMUM_SEGMENT_SIZE = 0, 1, 2
_SMALLEST_SEGMENT = 48  # what Linux takes for the least believable MSS
_BASIC_HEADER = 20


def announced_segment(packets: Packets, row: int) -> int | None:
    """The maximum segment size option (RFC 9293, 3.7.1) of the SYN at `row`, or None."""
    end = int(packets.payload[row])
    options = packets.data[end - int(packets.header[row]) + _BASIC_HEADER : end].tobytes()
    place = 0
    while place + 1 < len(options) and options[place] != _END:
        if options[place] == _NO_OPERATION:
            place += 1
            continue
        size = options[place + 1]
        if options[place] == _MAXIMUM_SEGMENT_SIZE and size == 4 and place + 4 <= len(options):
            return max(int.from_bytes(options[place + 2 : place + 4]), _SMALLEST_SEGMENT)
        place += max(size, 2)
    return None


def segment_sizes(packets: Packets, rows: np.ndarray, announced: np.ndarray) -> np.ndarray:
    """(n,) most payload that each of the packets at `rows` can have carried in one segment.

    Args:
        announced: (n,) smallest MSS that the flow's SYNs announced, 0 where none was seen: then what fits Ethernet. The
            options in the packet's own header (time stamps: 12 bytes) go off it.
    """
    version = (packets.key[rows, 4] & np.uint64(0xFF)).astype(np.int64)
    usual = np.where(version == 6, ETHERNET_SEGMENT[6], ETHERNET_SEGMENT[4])
    options = np.maximum(packets.header[rows] - _BASIC_HEADER, 0)
    return np.maximum(np.where(announced > 0, announced, usual) - options, 1)


def split_segments(rows: np.ndarray, payload: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, ...]:
    """Cut every packet into pieces of at most `size` bytes; the last takes the rest.

    Returns:
        For every packet the number of its pieces (n,), and for every piece (m,) its row and its payload length.
    """
    pieces = np.maximum(-(-payload // size), 1)
    last = np.cumsum(pieces) - 1
    split = np.repeat(size, pieces)
    split[last] = payload - (pieces - 1) * size
    return pieces, np.repeat(rows, pieces), split.astype(np.int32)
