"""Records of the classic pcap format (draft-ietf-opsawg-pcap), and of the variants that others made of it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from hf_ntg.flows.capture_in.capture_file import MAX_CAPTURED, PacketBlock, Window, numbers_at

__all__ = ["PCAP_MAGICS", "pcap_blocks"]

_FILE_HEADER = 24
_RECORD_HEADER = 16
_MODIFIED_HEADER = 24  # A. Kuznetzov's patched libpcap adds interface index, protocol and packet type
# first four bytes -> byte order, nanoseconds in a tick, size of a record's header
PCAP_MAGICS = {
    b"\xa1\xb2\xc3\xd4": (">", 1_000, _RECORD_HEADER),
    b"\xd4\xc3\xb2\xa1": ("<", 1_000, _RECORD_HEADER),
    b"\xa1\xb2\x3c\x4d": (">", 1, _RECORD_HEADER),
    b"\x4d\x3c\xb2\xa1": ("<", 1, _RECORD_HEADER),
    b"\xa1\xb2\xcd\x34": (">", 1_000, _MODIFIED_HEADER),
    b"\x34\xcd\xb2\xa1": ("<", 1_000, _MODIFIED_HEADER),
}
_TRIED_RECORDS = 32


def pcap_blocks(window: Window) -> Iterator[PacketBlock]:
    """The packets of a pcap file whose first bytes are in `window`.

    Some phones write the 24-byte record headers of the "modified" format under the standard magic number: the size is
    the one with which the first records follow one another sensibly.
    """
    if len(window.data) < _FILE_HEADER:
        raise window.broken(len(window.data), "the file breaks off inside the pcap file header")
    order, tick, header = PCAP_MAGICS[window.data[:4]]
    link = struct.unpack_from(order + "I", window.data, 20)[0] & 0xFFFF  # the rest tells of frame check sequences
    if header == _RECORD_HEADER:
        usual, modified = (_sensible_records(window.data, order, size, tick) for size in (header, _MODIFIED_HEADER))
        if not usual.all_sensible and modified > usual:
            header = _MODIFIED_HEADER
    used = _FILE_HEADER
    while True:
        starts, used = _walk(window.data, used, struct.Struct(order + "I").unpack_from, header)
        if starts:
            block = _block(window, np.array(starts), order, tick, header, link)
            window.packets += len(block)
            yield block
        _check_rest(window, used, order, header)
        if window.ended:
            return
        window.slide(used)
        used = 0


def _walk(data: bytes, place: int, unpack, header: int) -> tuple[list[int], int]:
    """Starts of the whole records in `data` from `place` on, and where the first one begins that is not whole."""
    starts, end = [], len(data)
    while place + header <= end:
        (captured,) = unpack(data, place + 8)
        after = place + header + captured
        if after > end or captured > MAX_CAPTURED:
            break
        starts.append(place)
        place = after
    return starts, place


def _check_rest(window: Window, place: int, order: str, header: int) -> None:
    """Damage at `place`, where the next whole record should begin, or nothing but the end of what is in memory?"""
    left = len(window.data) - place
    if left >= header:
        (captured,) = struct.unpack_from(order + "I", window.data, place + 8)
        if captured > MAX_CAPTURED:
            raise window.broken(place, f"a record claims {captured} bytes, more than {MAX_CAPTURED}")
    if window.ended and left:
        raise window.broken(place, f"the file breaks off inside a record ({left} bytes of it are there)")


def _block(window: Window, starts: np.ndarray, order: str, tick: int, header: int, link: int) -> PacketBlock:
    data = window.padded()
    seconds, fraction, captured, wire = (numbers_at(data, starts + at, order + "u4") for at in (0, 4, 8, 12))
    time = seconds * 1_000_000_000 + fraction * tick
    return PacketBlock(data, starts + header, captured, wire, time, np.full(len(starts), link), window.packets)


class _Trial(NamedTuple):
    count: int
    all_sensible: bool  # nothing but sensible records, as far as was tried


def _sensible_records(data: bytes, order: str, header: int, tick: int) -> _Trial:
    """How many of the first records look like records if headers take `header` bytes?"""
    fields, place, sensible, before = struct.Struct(order + "IIII"), _FILE_HEADER, 0, None
    while sensible < _TRIED_RECORDS and place + header <= len(data):
        seconds, fraction, captured, wire = fields.unpack_from(data, place)
        before = seconds if before is None else before
        if captured > MAX_CAPTURED or captured > wire or fraction * tick >= 1_000_000_000:
            return _Trial(sensible, False)
        if abs(seconds - before) > 366 * 86_400:
            return _Trial(sensible, False)
        sensible += 1
        place += header + captured
    return _Trial(sensible, sensible == _TRIED_RECORDS or place == len(data))
