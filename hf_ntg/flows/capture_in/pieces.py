"""Finds the capture files that are pieces of one capture, by connections that continue from one file to the next.

Capture programs rotate their files (``tcpdump -C`` and ``-G``, dumpcap's ring buffer, ``editcap -c``). If the
pieces were read separately, connections would be cut in two, and a split by capture could put one connection on both
sides.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hf_ntg.flows.byte_stream import BrokenFileError
from hf_ntg.flows.capture_in.capture_file import read_packets
from hf_ntg.flows.capture_in.clock import plausible_times
from hf_ntg.flows.capture_in.packet_block import PacketBlock
from hf_ntg.flows.schema import TCP

__all__ = ["CaptureEdges", "first_time", "joined_pieces"]

_AT_ONCE = 1_000_000_000  # longest gap between two pieces with unrelated names, ns
_RINGS = (  # names that capture programs give to the pieces of a capture; the number counts the pieces
    re.compile(r"(?P<name>.+)_(?P<number>\d{5})_\d{14}(\..*)?"),  # dumpcap, tshark, Wireshark, editcap
    re.compile(r"(?P<name>.+\.(pcap|pcapng|cap|dmp))(?P<number>\d*)"),  # tcpdump -C
)
_PACKED = re.compile(r"\.(gz|zst|xz|bz2)$")


@dataclass
class CaptureEdges:
    """The flows at both ends of a capture file.

    Attributes:
        first, last: times of its first and last packet, ns; -1 if it has none.
        cut: flows that may have begun before the file: ``Packets.key`` to the time of the first packet, and to its
            sequence number if it is a SYN; None for other packets.
        open: flows that may continue after the file: ``Packets.key`` to the time of the last packet, and to the initial
            sequence numbers of the two sides.
        idle_timeout: ns without a packet after which a flow ends.
    """

    first: int = -1
    last: int = -1
    cut: dict[bytes, tuple[int, int | None]] = field(default_factory=dict)
    open: dict[bytes, tuple[int, tuple[int | None, int | None]]] = field(default_factory=dict)
    idle_timeout: int = 0


def first_time(path: Path) -> int:
    """Return the time of the first packet in the capture at `path`, ns; 0 if it cannot be read.

    Raises:
        InputError: the file cannot be opened, or is not a capture.
    """
    try:
        return next((int(block.time[0]) for block in plausible_times(_first_block(path), Counter())), 0)
    except BrokenFileError:
        return 0


def joined_pieces(files: list[tuple[Path, CaptureEdges]], same_label: Callable[[Path, Path], bool]) -> list[int]:
    """Find the files that are pieces of one capture.

    Two files of one folder are pieces of one capture if a flow continues from one to the other within the idle
    time-out, and their names differ only in digits. A flow that begins with a SYN in the second file continues only if
    the SYN is a repeated one. If the names differ more, the flow must be a TCP connection, and
    the second file must begin within a second of the end of the first. A file whose name fits, and whose time is
    between two pieces, is a piece as well. So is a file whose name says that it follows another one directly, as in
    ``x_00002_20240501120000.pcap`` or ``x.pcap2``, and which begins within the idle time-out after the other one's end.

    Args:
        files: paths, with the flows at both ends (no flows for a file that is not a capture).
        same_label: whether the user's rules give two files the same label; if not, they are never joined.

    Returns:
        For every file, the index of the first file of its capture in `files`; its own index if it is alone.
    """
    group = list(range(len(files)))

    def join(one: int, other: int) -> None:
        low, high = sorted((group[one], group[other]))
        group[:] = [low if of == high else of for of in group]

    folders: dict[Path, list[int]] = {}
    for number, (path, edges) in enumerate(files):
        if edges.first >= 0:
            folders.setdefault(path.parent, []).append(number)
    for numbers in folders.values():
        numbers.sort(key=lambda number: (files[number][1].first, number))
        _join_by_names(files, numbers, same_label, join)
        _join_by_flows(files, numbers, same_label, join)
        _join_between(files, numbers, same_label, group, join)
    return group


def _join_by_names(
    files: list[tuple[Path, CaptureEdges]],
    numbers: list[int],
    same_label: Callable[[Path, Path], bool],
    join: Callable[[int, int], None],
) -> None:
    """Join the files at `numbers`, which are in order of time, whose names say that one follows the other."""
    for one, other in itertools.pairwise(numbers):
        place, following = _ring_place(files[one][0]), _ring_place(files[other][0])
        pause = files[other][1].first - files[one][1].last
        if place is None or following is None or place[0] != following[0] or following[1] != place[1] + 1:
            continue
        if 0 <= pause <= files[one][1].idle_timeout and same_label(files[one][0], files[other][0]):
            join(one, other)


def _ring_place(path: Path) -> tuple[str, int] | None:
    """Return the name of a ring of files and the number of the file `path` in it, or None."""
    name = _PACKED.sub("", path.name.lower())
    match = next((found for found in (ring.fullmatch(name) for ring in _RINGS) if found), None)
    return None if match is None else (match["name"], int(match["number"] or 0))


def _join_by_flows(
    files: list[tuple[Path, CaptureEdges]],
    numbers: list[int],
    same_label: Callable[[Path, Path], bool],
    join: Callable[[int, int], None],
) -> None:
    """Join the files at `numbers`, which are in order of time, if one continues a flow of another."""
    open_flows: dict[bytes, tuple[int, int, tuple]] = {}  # key -> file, time of its last packet there, numbers
    for number in numbers:
        path, edges = files[number]
        matches: dict[int, bool] = {}  # file -> whether a TCP connection continues
        for key, (time, syn) in edges.cut.items():
            before = open_flows.get(key)
            if before is None or (syn is not None and syn not in before[2]):
                continue
            if 0 <= time - before[1] <= edges.idle_timeout:
                matches[before[0]] = matches.get(before[0], False) or key[33] == TCP
        for other, is_tcp in matches.items():
            at_once = is_tcp and 0 <= edges.first - files[other][1].last <= _AT_ONCE
            if (at_once or _skeleton(path) == _skeleton(files[other][0])) and same_label(path, files[other][0]):
                join(number, other)
        for key, (time, numbers_of_sides) in edges.open.items():
            open_flows[key] = (number, time, numbers_of_sides)


def _join_between(
    files: list[tuple[Path, CaptureEdges]],
    numbers: list[int],
    same_label: Callable[[Path, Path], bool],
    group: list[int],
    join: Callable[[int, int], None],
) -> None:
    """Join the files at `numbers` whose times are between two pieces of one capture, if their names fit."""
    for place, number in enumerate(numbers):
        before = {group[other]: other for other in numbers[:place]}
        after = {group[other] for other in numbers[place + 1 :]}
        for of, other in before.items():
            fits = _skeleton(files[number][0]) == _skeleton(files[other][0])
            if of in after and fits and same_label(files[number][0], files[other][0]):
                join(number, other)


def _skeleton(path: Path) -> str:
    """Return the name of a file without the parts that differ between the pieces of one capture."""
    return re.sub(r"\d+", "", _PACKED.sub("", path.name.lower()))


def _first_block(path: Path) -> Iterator[PacketBlock]:
    yield from itertools.islice(read_packets(path), 1)
