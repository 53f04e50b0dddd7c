"""What the numbers of a table's packet lists mean: decided once for a file, from all of its rows.

A first pass over the file counts (:class:`Survey`); :func:`decide` turns the counts into a :class:`Convention`, which a
second pass applies. Whatever was not declared is said in a remark.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from hf_ntg.errors import InputError
from hf_ntg.flows.table_in.direction_words import passes_by, signs_of
from hf_ntg.flows.table_in.list_cells import WORDS_FROM
from hf_ntg.flows.table_in.ragged import Ragged

__all__ = ["UNITS", "Convention", "Declared", "Survey", "decide", "trailing"]

UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
"""Seconds in a unit of time."""

_SURE = 0.9  # share of flows whose first packet must agree before it decides
_LONGEST_GAP = 3_600.0  # seconds; captures cut flows at shorter silences
_MEAN_GAP = 30.0  # seconds between packets, on average, that no table of flows exceeds
_EPOCH = 1e8  # seconds from 1970: no gap is that long


@dataclass(frozen=True)
class Declared:
    """What the user, or a known format, says of a table.

    Attributes:
        up, down: the cells of the direction column for packets from and to the initiator. unit: seconds in a unit of
            the times. timestamps: are the times those of the packets, not gaps between them? None: to be found out.
    """

    up: str | None = None
    down: str | None = None
    unit: float | None = None
    timestamps: bool | None = None


@dataclass
class Survey:
    """Counts over all rows of a file that conventions are decided from.

    Args:
        has_direction, has_times: does the table have these columns?
    """

    has_direction: bool
    has_times: bool
    rows: int = 0
    widths: set[int] = field(default_factory=set)
    padded: Counter = field(default_factory=Counter)  # rows with a trailing run of zeros, -1 or null
    longest_zeros: int = 0
    directions: Counter = field(default_factory=Counter)  # by value, before the trailing run
    first: Counter = field(default_factory=Counter)  # by value, of first packets
    negative: int = 0  # lengths below -1, or -1 before the trailing run
    signs_agree: int = 0
    signs_differ: int = 0
    short_times: int = 0  # rows with one time less than lengths
    full_times: int = 0
    growing: int = 0  # rows of 4 packets or more whose times never fall
    falling: int = 0
    fractions: int = 0
    whole: int = 0  # times that are not 0
    largest_time: float = 0.0
    time_sum: float = 0.0
    largest_start: float = 0.0
    largest_later: float = 0.0  # of the times that are not the first of their row

    def add(self, lists: dict[str, Ragged]) -> None:
        """Count the rows of a batch."""
        length = lists["payload_length"]
        usable = (length.counts > 0) & ~length.unreadable
        direction, times = lists.get("direction"), lists.get("inter_arrival_time")
        if direction is not None:
            usable &= (direction.counts == length.counts) & ~direction.unreadable
        length = length.take(usable)
        direction = None if direction is None else direction.take(usable)
        times = None if times is None else times.take(usable)
        self.rows += len(length)
        if len(self.widths) < 3:
            self.widths |= set(length.counts.tolist())
        runs = trailing(length, direction, times)
        for kind, run in runs.items():
            self.padded[kind] += int((run > 0).sum())
        self.longest_zeros = max(self.longest_zeros, int(runs["0"].max(initial=0)))
        held = length.counts - np.maximum.reduce(list(runs.values()))  # packets whatever the padding
        inside = _position(length.counts) < np.repeat(held, length.counts)
        self._count_lengths(length, direction, inside)
        if direction is not None:
            self._count_directions(direction, held, inside)
        if times is not None:
            self._count_times(times, length.counts, held)

    def _count_lengths(self, length: Ragged, direction: Ragged | None, inside: np.ndarray) -> None:
        values = length.values
        self.negative += int(((values < -1) | ((values == -1) & inside)).sum())
        if direction is not None:
            signed = (values != 0) & (np.abs(direction.values) == 1) & inside
            agree = np.sign(values[signed]) == direction.values[signed]
            self.signs_agree += int(agree.sum())
            self.signs_differ += int((~agree).sum())

    def _count_directions(self, direction: Ragged, held: np.ndarray, inside: np.ndarray) -> None:
        values, counts = np.unique(direction.values[inside], return_counts=True)
        self.directions.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
        starts = (np.cumsum(direction.counts) - direction.counts)[held > 0]
        values, counts = np.unique(direction.values[starts], return_counts=True)
        self.first.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))

    def _count_times(self, times: Ragged, counts: np.ndarray, held: np.ndarray) -> None:
        """Count what the times of a batch tell about their unit and meaning; `held` are packets without padding."""
        self.full_times += int((times.counts == counts).sum())
        self.short_times += int(((times.counts == counts - 1) & (counts > 1)).sum())
        position = _position(times.lengths)
        inside = position < np.repeat(np.minimum(held, times.lengths), times.lengths)
        values = times.values[inside & np.isfinite(times.values)]
        if not len(values):
            return
        nonzero = values[values != 0]
        self.whole += int((nonzero == np.floor(nonzero)).sum())
        self.fractions += int((nonzero != np.floor(nonzero)).sum())
        starts = times.values[inside & (position == 0) & np.isfinite(times.values)]
        self.largest_start = max(self.largest_start, float(starts.max(initial=0)))
        later = times.values[inside & (position > 0) & np.isfinite(times.values)]
        self.largest_later = max(self.largest_later, float(later.max(initial=0)))
        self.time_sum += float(np.abs(nonzero).sum())
        self.largest_time = max(self.largest_time, float(values.max()))
        steps = np.diff(times.values, prepend=0.0)
        falls = inside & (position > 0) & (steps < 0)
        row = np.repeat(np.arange(len(times)), times.lengths)
        long = (np.minimum(held, times.lengths) >= 4) & (np.bincount(row[inside & (steps > 0) & (position > 0)],
                                                                    minlength=len(times)) >= 2)  # fmt: skip
        has_fall = np.bincount(row[falls], minlength=len(times)) > 0
        self.falling += int((long & has_fall).sum())
        self.growing += int((long & ~has_fall).sum())


def trailing(length: Ragged, direction: Ragged | None, times: Ragged | None) -> dict[str, np.ndarray]:
    """(n,) entries at the end of each row that may be padding, by kind: ``0``, ``-1`` and ``null``.

    Other columns that have an entry there must hold padding too. Rows are those of `length`, all readable.
    """
    values = length.values
    is_zero, is_minus, is_null = values == 0, values == -1, np.isnan(values)
    if direction is not None:
        unknown = np.isnan(direction.values)
        is_zero &= (direction.values == 0) | unknown
        is_minus &= (direction.values == -1) | (direction.values == 0) | unknown
    if times is not None and np.array_equal(times.counts, length.counts):
        is_pad = (times.values == 0) | (times.values == -1) | np.isnan(times.values)
        is_zero &= is_pad
        is_minus &= is_pad
    return {
        name: _trailing_run(mask, length.counts) for name, mask in (("0", is_zero), ("-1", is_minus), ("null", is_null))
    }


def _position(counts: np.ndarray) -> np.ndarray:
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)


def _trailing_run(mask: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """How many entries at the end of each row of `counts` entries are true in `mask`."""
    ends = np.cumsum(counts)
    last_false = np.maximum.accumulate(np.where(mask, -1, np.arange(len(mask)))) if len(mask) else np.zeros(0, int)
    last = last_false[ends - 1] if len(ends) else np.zeros(0, int)
    return np.minimum(ends - 1 - last, counts)


@dataclass
class Convention:
    """How to read the packet lists of one file.

    Attributes:
        padding: kinds of padding to strip.
        directions: value of a direction to +1 or -1; empty if lengths have the sign.
        signed: are lengths signed?
        unit: seconds in a unit of the times.
        timestamps: times of packets, not gaps.
        short_gaps: is there no gap for the first packet?
        starts_first: is the time of the first packet the start of the flow, and the others gaps?
        remarks: what was found out, not declared.
    """

    padding: tuple[str, ...] = ()
    directions: dict[float, int] = field(default_factory=dict)
    signed: bool = False
    unit: float = 1.0
    timestamps: bool = False
    short_gaps: bool = False
    starts_first: bool = False
    remarks: list[str] = field(default_factory=list)


def decide(survey: Survey, declared: Declared, words: dict[str, int], place: str) -> Convention:
    """The convention of a file.

    Args:
        words: numbers of the direction words. place: the file, for messages.

    Raises:
        InputError: the directions mean one of two things, and nothing says which.
    """
    found = Convention(signed=not survey.has_direction)
    if survey.has_direction:
        found.directions = _directions(survey, declared, words, place, found.remarks)
        found.signed = survey.negative > 0 and -1.0 in survey.directions and not survey.signs_differ
    found.padding = _padding(survey, found)
    if survey.has_times:
        _decide_times(survey, declared, found)
    return found


def _padding(survey: Survey, found: Convention) -> tuple[str, ...]:
    fixed = len(survey.widths) == 1 and survey.rows > 1
    kinds = ["null"]
    if survey.has_direction:
        if 0.0 not in found.directions or (fixed and (survey.has_times or survey.longest_zeros > 1)):
            kinds.append("0")
        if not found.signed:
            kinds.append("-1")
    elif fixed:
        kinds.append("0")
        if not survey.negative:
            kinds.append("-1")
    return tuple(kind for kind in kinds if survey.padded[kind])


def _directions(
    survey: Survey, declared: Declared, words: dict[str, int], place: str, remarks: list[str]
) -> dict[float, int]:
    """Map each value of a direction to +1 or -1: as declared, else by words, else by what flows begin with."""
    named = {WORDS_FROM + number: word for word, number in words.items()}
    values = {value: named.get(value, f"{value:g}") for value in survey.directions if not np.isnan(value)}
    if declared.up is not None and declared.down is not None:
        return {value: 1 if text == declared.up else -1 for value, text in values.items()
                if text in (declared.up, declared.down)}  # fmt: skip
    remedy = "say which is which: --columns direction=COLUMN:UP/DOWN, UP from the flow's initiator"
    if any(value in named for value in values):
        return _worded(survey, values, place, remedy, remarks)
    usual = {value for value in values if value in (-1.0, 0.0, 1.0, 2.0)}
    if -1.0 in usual:
        return {1.0: 1, -1.0: -1}
    if not usual:
        return {0.0: 1, 1.0: 1, -1.0: -1}
    low, high = (1.0, 2.0) if 2.0 in usual and 0.0 not in usual else (0.0, 1.0)
    if usual == {1.0}:
        remarks.append("all directions are 1: read as from the initiator")
        return {1.0: 1}
    lows, highs = survey.first[low], survey.first[high]
    is_turned = highs and (not lows or (lows + highs >= 10 and highs > _SURE * (lows + highs)))
    up, down = (high, low) if is_turned else (low, high)
    remarks.append(
        f"directions are {low:g} and {high:g}: {up:g} read as from the initiator, {down:g} as to it ({lows} flows "
        f"begin with {low:g}, {highs} with {high:g}); declare it by --columns direction=COLUMN:UP/DOWN"
    )
    return {up: 1, down: -1}


def _worded(survey: Survey, values: dict[float, str], place: str, remedy: str, remarks: list[str]) -> dict[float, int]:
    """Directions given as words."""
    texts = set(values.values())
    signs = signs_of(texts)
    known = {value: signs[text] for value, text in values.items() if text in signs}
    counts = Counter({values[value]: survey.directions[value] for value in values})
    if not known or sum(counts[values[value]] for value in known) < _SURE * sum(counts.values()):
        names = " and ".join(repr(name) for name, _ in counts.most_common(2))
        raise InputError(f"{place}: directions are {names}; {remedy}")
    first = Counter({sign: sum(survey.first[value] for value in known if known[value] == sign) for sign in (1, -1)})
    if passes_by(texts) and first[-1] > _SURE * first.total():
        known = {value: -sign for value, sign in known.items()}
        remarks.append("directions are those of the capture point, on the server's side: the flows begin with 'in'")
    up, down = (sorted(values[value] for value in known if known[value] == sign) for sign in (1, -1))
    remarks.append(f"directions: {', '.join(up) or 'none'} from the initiator, {', '.join(down) or 'none'} to it")
    return known


def _decide_times(survey: Survey, declared: Declared, found: Convention) -> None:
    """Decide whether times are time stamps or gaps, and their unit; `found` is changed."""
    found.short_gaps = survey.short_times > 0 and not survey.full_times
    unit = declared.unit
    for name, seconds in UNITS.items() if unit is None else ():  # the time since 1970 says its unit
        if _EPOCH * 4 < survey.largest_start * seconds < _EPOCH * 100:
            unit, found.timestamps = seconds, True
            if survey.largest_later * seconds > _EPOCH:
                found.remarks.append(f"times are time stamps since 1970 in {name}: gaps are taken between them")
            break
    is_date = unit is not None and survey.largest_start * unit > _EPOCH * 4
    has_gaps = unit is not None and 0 < survey.largest_later * unit < _EPOCH
    if is_date and has_gaps and not declared.timestamps:
        found.timestamps, found.starts_first = False, True
        found.remarks.append("the first time of a flow is its start since 1970: it is dropped, the others are gaps")
    elif declared.timestamps is not None:
        found.timestamps = declared.timestamps
    elif not found.timestamps and unit is not None and survey.largest_start * unit > _EPOCH:
        found.timestamps = True
        found.remarks.append("times are time stamps: gaps are taken between them")
    elif not found.timestamps and survey.growing and not survey.falling:
        if survey.growing >= 5:
            found.timestamps = True
            found.remarks.append("times never fall within a flow: read as time stamps, gaps are taken between them")
        else:
            found.remarks.append(
                "times never fall within a flow: read as gaps; if they are time stamps, name them by "
                "--columns timestamp=COLUMN"
            )
    if unit is None:
        unit = _likely_unit(survey, found)
    found.unit = unit


def _likely_unit(survey: Survey, found: Convention) -> float:
    """The unit of times that nobody declared: seconds, unless the numbers cannot be seconds."""
    whole = survey.whole >= 10 and not survey.fractions
    if whole or survey.largest_time > _LONGEST_GAP:
        # Whole numbers throughout are ticks of a clock. In its unit no gap is longer than an hour, and few are long.
        mean = 0.0 if found.timestamps else survey.time_sum / max(survey.whole + survey.fractions, 1)
        longest = max(survey.largest_time / _LONGEST_GAP, mean / _MEAN_GAP)
        name = next((one for one in ("ms", "us", "ns") if longest * UNITS[one] <= 1), "ns")
        found.remarks.append(f"times are taken as {name}, by their size; name the unit: inter_arrival_time=COLUMN:ms")
        return UNITS[name]
    if survey.whole + survey.fractions:
        found.remarks.append("times are taken as seconds; name another unit: inter_arrival_time=COLUMN:ms")
    return UNITS["s"]
