"""Repairs impossible time stamps, using the packets before and after them."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from hf_ntg.flows.capture_in.packet_block import UNKNOWN_TIME, PacketBlock

__all__ = ["plausible_times"]

_DAY = 86_400_000_000_000  # nanoseconds
_EDGE = 30 * _DAY
_LONGEST_RUN = 16  # packets in a row whose clock may be wrong
_MOST_WRONG = 8  # at most one packet in so many has a wrong clock
_MOVED = "packets whose time stamp is impossible or far from their neighbours': they take the time of the one before"


def plausible_times(blocks: Iterator[PacketBlock], noticed: Counter[str]) -> Iterator[PacketBlock]:
    """Yield `blocks` with every wrong time stamp replaced by that of the packet before.

    A time stamp is wrong if the reader marked it as ``UNKNOWN_TIME``. It is also wrong if it is in a run of up to 16
    packets that are more than a day away from the packets before the run, while the packets after the run are within a
    day of those before it. At the beginning and the end of the capture, where one side is missing, the run must be more
    than 30 days away. At most one packet in eight may be wrong by this rule. If there are more, the capture has several
    clocks or is out of order, and they are left as they are.

    Args:
        blocks: packets in the order of the file. noticed: replaced time stamps are counted here.
    """
    before: int | None = None
    held: PacketBlock | None = None
    for block in itertools.chain(blocks, [None]):
        if held is not None:
            after = None if block is None else block.time[:_LONGEST_RUN]
            time, moved = _repaired(held.time, before, after)
            if moved:
                noticed[_MOVED] += moved
                held = replace(held, time=time)
            before = int(time[-1])
            yield held
        held = block


def _repaired(time: np.ndarray, before: int | None, after: np.ndarray | None) -> tuple[np.ndarray, int]:
    """Return the repaired times (n,) of a block, and how many were wrong.

    Args:
        before: the last time of the block before; None at the start of the capture.
        after: the first times of the next block; None at the end of the capture.
    """
    behind = np.empty(0, np.int64) if after is None else after
    ahead = np.empty(0, np.int64) if before is None else np.array([before])
    context = np.concatenate([ahead, time, behind])
    unknown = context == UNKNOWN_TIME
    steps = np.abs(np.diff(context))
    if not unknown.any() and not (steps > _DAY).any():
        return time, 0
    wrong = _far_runs(np.where(unknown, -(1 << 62), context), before is None, after is None)
    own = slice(len(ahead), len(ahead) + len(time))
    if (wrong & ~unknown)[own].sum() > max(1, len(time) // _MOST_WRONG):
        wrong = unknown
    source = np.maximum.accumulate(np.where(wrong, -1, np.arange(len(context))))  # the last right one
    right = np.flatnonzero(~wrong)
    first = int(right[0]) if len(right) else 0
    repaired = context[np.where(source < 0, first, source)] if len(right) else np.zeros(len(context), np.int64)
    return repaired[own], int(wrong[own].sum())


def _far_runs(time: np.ndarray, at_start: bool, at_end: bool) -> np.ndarray:
    """Return the mask (n,) of the packets in short runs whose times are far from those around them."""
    bounds = [0, *(np.flatnonzero(np.abs(np.diff(time)) > _DAY) + 1).tolist(), len(time)]
    runs = list(itertools.pairwise(bounds))
    wrong = np.zeros(len(time), bool)
    level: int | None = None  # time of the last packet with a right clock
    for number, (begin, end) in enumerate(runs):
        if end - begin <= _LONGEST_RUN and _is_far(time, runs, number, level, at_start, at_end):
            wrong[begin:end] = True
        else:
            level = int(time[end - 1])
    return wrong


def _is_far(
    time: np.ndarray, runs: list[tuple[int, int]], number: int, level: int | None, at_start: bool, at_end: bool
) -> bool:
    """Return whether the run at `number` departs from `level`, the time before it, only for a short while."""
    begin, end = runs[number]
    if time[begin] < 0:
        return True
    size = end - begin
    if level is None:
        later = [one for one in runs[number + 1 : number + 3] if one[1] - one[0] > size and time[one[0]] >= 0]
        return at_start and bool(later) and abs(int(time[later[0][0]] - time[begin])) > _EDGE
    follows = [one for one in runs[number + 1 :] if one[0] - begin <= _LONGEST_RUN]
    if any(abs(int(time[one[0]]) - level) <= _DAY for one in follows):
        return True
    is_last = number == len(runs) - 1
    return at_end and is_last and begin > size and abs(int(time[begin]) - level) > _EDGE
