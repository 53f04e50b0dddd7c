"""Reads the records of classic pcap files (draft-ietf-opsawg-pcap) and of its variants."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from hf_ntg.flows.capture_in.packet_block import MAX_CAPTURED, UNKNOWN_TIME, PacketBlock, Window, numbers_at

__all__ = ["PCAP_MAGICS", "pcap_blocks"]

PCAP_MAGICS = {
    b"\xa1\xb2\xc3\xd4": (">", 1_000, 16),
    b"\xd4\xc3\xb2\xa1": ("<", 1_000, 16),
    b"\xa1\xb2\x3c\x4d": (">", 1, 16),
    b"\x4d\x3c\xb2\xa1": ("<", 1, 16),
    b"\xa1\xb2\xcd\x34": (">", 1_000, 24),  # A. Kuznetzov's patched libpcap: interface, protocol and packet type
    b"\x34\xcd\xb2\xa1": ("<", 1_000, 24),
}
"""Maps the first bytes of a pcap file to byte order, nanoseconds per unit of the fraction, and record header size."""
_CAPTURE_MAGICS = {*PCAP_MAGICS, b"\n\r\r\n"}  # and pcapng
_FILE_HEADER = 24
_RECORD_HEADER = 16
_MODIFIED_HEADER = 24
_TRIED_RECORDS = 32
_YEAR = 366 * 86_400
_SECOND, _MICROSECONDS = 1_000_000_000, 1_000_000
_FEWEST_FRACTIONS = 3  # distinct fractions below 1,000,000 units that rule out nanoseconds
_AS_NANOSECONDS = "packets whose fractions of a second are nanoseconds, though the magic number says microseconds"
_AS_MICROSECONDS = (
    "packets whose fractions of a second were read as microseconds, though the magic number says nanoseconds: "
    "every one of them is below 1,000,000"
)


def pcap_blocks(window: Window) -> Iterator[PacketBlock]:
    """Yield the packets of a pcap file whose first bytes are in `window`.

    Some phones write the 24-byte record headers of the "modified" format under the standard magic number. The reader
    uses the header size with which the first records are plausible. Some programs write nanoseconds under the magic
    number for microseconds, or the reverse. The fractions of the first block decide which unit the file uses.
    """
    if len(window.data) < _FILE_HEADER:
        raise window.broken(len(window.data), "the file breaks off inside the pcap file header")
    order, tick, header = PCAP_MAGICS[window.data[:4]]
    link = struct.unpack_from(order + "I", window.data, 20)[0] & 0xFFFF  # the other bits describe frame check sequences
    if header == _RECORD_HEADER:
        usual, modified = (_sensible_records(window.data, order, size) for size in (header, _MODIFIED_HEADER))
        if not usual.all_sensible and modified > usual:
            header = _MODIFIED_HEADER
    used, unit = _FILE_HEADER, 0
    while True:
        starts, used = _walk(window.data, used, struct.Struct(order + "I").unpack_from, header)
        if starts:
            places = np.array(starts)
            unit = unit or _unit(numbers_at(window.padded(), places + 4, order + "u4"), tick)
            block = _block(window, places, order, unit, header, link)
            if unit != tick:
                window.noticed[_AS_NANOSECONDS if unit < tick else _AS_MICROSECONDS] += len(block)
            window.packets += len(block)
            yield block
        _check_rest(window, used, order, header)
        if window.ended:
            return
        window.slide(used)
        used = 0


def _walk(data: bytes, place: int, unpack, header: int) -> tuple[list[int], int]:
    """Return where each whole record in `data` begins, from `place` on, and where the first incomplete one begins."""
    starts: list[int] = []
    end, found = len(data), starts.append
    last = end - header
    while place <= last:  # the one loop over packets: it does as little as it can
        after = place + header + unpack(data, place + 8)[0]
        if after > end:
            break
        found(place)
        place = after
    too_long = np.flatnonzero(np.diff([*starts, place]) > header + MAX_CAPTURED)
    if len(too_long):
        place = starts[too_long[0]]
        del starts[too_long[0] :]
    return starts, place


def _check_rest(window: Window, place: int, order: str, header: int) -> None:
    """Raise BrokenFileError if the record at `place` is damaged, or cut off by the end of the file."""
    left = len(window.data) - place
    if left >= header:
        (captured,) = struct.unpack_from(order + "I", window.data, place + 8)
        if captured > MAX_CAPTURED:
            for start in (
                place,
                place - _RECORD_HEADER,
            ):  # a file header of pcap passes for the header of an empty record
                if start >= 0 and window.data[start : start + 4] in _CAPTURE_MAGICS:
                    raise window.broken(start, "another capture begins here; join captures with mergecap, not with cat")
            raise window.broken(place, f"a record claims {captured} bytes, more than {MAX_CAPTURED}")
    if window.ended and left:
        raise window.broken(place, f"the file breaks off inside a record ({left} bytes of it are there)")


def _unit(fraction: np.ndarray, tick: int) -> int:
    """Return the nanoseconds per unit of the fractions (n,) of the first packets: `tick`, unless they contradict it.

    With nanoseconds, 999 of 1,000 packets have a fraction of a million or more; with microseconds, none does. One
    damaged fraction among many does not override the magic number.
    """
    nonzero = fraction[fraction > 0]
    impossible = int((nonzero >= _MICROSECONDS).sum())
    if tick > 1:
        return 1 if impossible and 2 * impossible >= len(nonzero) and nonzero.max() < _SECOND else tick
    return 1_000 if not impossible and len(np.unique(nonzero)) >= _FEWEST_FRACTIONS else tick


def _block(window: Window, starts: np.ndarray, order: str, tick: int, header: int, link: int) -> PacketBlock:
    data = window.padded()
    seconds, fraction, captured, wire = (numbers_at(data, starts + at, order + "u4") for at in (0, 4, 8, 12))
    fraction *= tick
    time = np.where(fraction < _SECOND, seconds * _SECOND + fraction, UNKNOWN_TIME)
    return PacketBlock(data, starts + header, captured, wire, time, np.full(len(starts), link), window.packets)


class _Trial(NamedTuple):
    tried: int
    all_sensible: bool  # every record that was tried is plausible


def _sensible_records(data: bytes, order: str, header: int) -> _Trial:
    """Count the first records that are plausible if a record header has `header` bytes.

    Half of their times must be within a year: single packets may have an absurd clock.
    """
    fields, place = struct.Struct(order + "IIII"), _FILE_HEADER
    seconds: list[int] = []
    is_sound = True
    while is_sound and len(seconds) < _TRIED_RECORDS and place + header <= len(data):
        second, fraction, captured, wire = fields.unpack_from(data, place)
        is_sound = captured <= MAX_CAPTURED and captured <= wire and fraction < _SECOND
        if is_sound:
            seconds.append(second)
            place += header + captured
    near = max((sum(abs(one - other) <= _YEAR for other in seconds) for one in seconds), default=0)
    is_whole = is_sound and (len(seconds) == _TRIED_RECORDS or place == len(data))
    return _Trial(near, is_whole and 2 * near >= len(seconds))
