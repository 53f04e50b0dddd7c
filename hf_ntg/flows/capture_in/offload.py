"""Splits offloaded packets: with segmentation offload, a capture shows long packets that never were on the wire.

TCP segments follow the maximum segment size that the connection agreed on. UDP datagrams (UDP_SEGMENT in Linux, which
QUIC uses) are as long as the longest datagram of the flow that fits a frame; the last one holds the rest.
"""

from __future__ import annotations

import numpy as np

from hf_ntg.flows.capture_in.packets import Packets

__all__ = [
    "ETHERNET_DATAGRAM",
    "ETHERNET_SEGMENT",
    "announced_segment",
    "datagram_sizes",
    "long_datagrams",
    "longest_datagrams",
    "segment_sizes",
    "split_segments",
]

ETHERNET_SEGMENT = {4: 1460, 6: 1440}
"""By IP version: the longest TCP payload that fits an Ethernet frame of 1,500 bytes, without TCP options."""
ETHERNET_DATAGRAM = {4: 1472, 6: 1452}
"""By IP version: the longest UDP payload that fits such a frame."""
_SHORTEST_SPLIT = 1_000  # bytes: a flow whose datagrams are all shorter does not show how its long ones are cut
_UDP_HEADER = 8
_END, _NO_OPERATION, _MAXIMUM_SEGMENT_SIZE = 0, 1, 2
_SMALLEST_SEGMENT = 48  # the smallest MSS that Linux accepts
_BASIC_HEADER = 20


def announced_segment(packets: Packets, row: int) -> int | None:
    """Return the maximum segment size option (RFC 9293, 3.7.1) of the SYN at `row`, or None."""
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
    """Return the largest payload of one segment, (n,), for each of the packets at `rows`.

    Args:
        announced: (n,) smallest MSS that the flow's SYNs announced. It is 0 if none was seen; then the MSS of
            Ethernet is used. The options in the packet's own header (time stamps: 12 bytes) reduce the result.
    """
    usual = _by_version(packets, rows, ETHERNET_SEGMENT)
    options = np.maximum(packets.header[rows] - _BASIC_HEADER, 0)
    return np.maximum(np.where(announced > 0, announced, usual) - options, 1)


def long_datagrams(packets: Packets, rows: np.ndarray) -> np.ndarray:
    """Return which of the packets at `rows` are whole UDP datagrams too long for an Ethernet frame, (n,) bool."""
    whole = (packets.header[rows] == _UDP_HEADER) & ~packets.fragment[rows]
    return whole & (packets.length[rows] > _by_version(packets, rows, ETHERNET_DATAGRAM))


def longest_datagrams(packets: Packets, rows: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the longest UDP payload that fits a frame, (n,), for each flow; 0 if none does.

    Args:
        rows: rows of the packets, flow by flow. lengths: (n,) how many belong to each flow.
    """
    size = packets.length[rows]
    fitting = np.where(size <= _by_version(packets, rows, ETHERNET_DATAGRAM), size, 0)
    return np.maximum.reduceat(fitting, np.cumsum(lengths) - lengths)


def datagram_sizes(packets: Packets, rows: np.ndarray, longest: np.ndarray) -> np.ndarray:
    """Return the payload length of one datagram, (n,), for each of the long UDP packets at `rows`.

    Args:
        longest: (n,) the longest datagram of the flow that fits a frame.
    """
    return np.where(longest >= _SHORTEST_SPLIT, longest, _by_version(packets, rows, ETHERNET_DATAGRAM))


def _by_version(packets: Packets, rows: np.ndarray, sizes: dict[int, int]) -> np.ndarray:
    version = (packets.key[rows, 4] & np.uint64(0xFF)).astype(np.int64)
    return np.where(version == 6, sizes[6], sizes[4])


def split_segments(rows: np.ndarray, payload: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, ...]:
    """Cut every packet into pieces of `size` bytes; the last piece holds the rest.

    Returns:
        For every packet the number of its pieces, (n,); for every piece its row and its payload length, (m,) each.
    """
    pieces = np.maximum(-(-payload // size), 1)
    last = np.cumsum(pieces) - 1
    split = np.repeat(size, pieces)
    split[last] = payload - (pieces - 1) * size
    return pieces, np.repeat(rows, pieces), split.astype(np.int32)
