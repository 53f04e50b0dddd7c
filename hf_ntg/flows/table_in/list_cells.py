"""Reads the packet lists in the cells of a table: Python lists, JSON, printed arrays, separated numbers, dates."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import numpy as np

__all__ = ["TRUTH", "WORDS_FROM", "Dates", "direction_list", "has_decimal_commas", "listed"]

WORDS_FROM = 1e6
"""Direction words are numbered from here, in the order in which a file has them."""
TRUTH = {"false": 0.0, "true": 1.0}
"""Words for numbers, in lower case."""

_SEPARATORS = re.compile(r"[\s,;|]+")
_SEPARATORS_BUT_COMMA = re.compile(r"[\s;|]+")
_BRACKETS = "()[]{}<> \t\r\n"
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")
_WITH_COMMA = re.compile(r"[+-]?\d+(,\d+)?([eE][+-]?\d{1,3})?")
_UNKNOWN = {"", "nan", "na", "null", "none", "n/a", "-nan", "nat", "<na>"}
_PRINTED_ARRAY = re.compile(r"\s*[A-Za-z_][\w.]*\((\[.*\])(?:,\s*\w+=[^\[\]]*)?\)\s*", re.DOTALL)
_PRINTED_SCALAR = re.compile(r"\b[A-Za-z_][\w.]*\(([^()\[\],]*)(?:,\s*\w+=[^()]*)?\)")
_DATE = re.compile(r"(\d{4}[-/]?\d\d[-/]?\d\d[T ]\d\d:?\d\d(?::?\d\d)?)(?:[.,](\d+))?\s*(Z|UTC|[+-]\d\d(?::?\d\d)?)?")
_SECOND = 1_000_000_000
_1970 = datetime(1970, 1, 1, tzinfo=UTC)


def listed(cell: object, decimal_commas: bool = False) -> object:
    """Return a cell as a list of numbers, None and texts; None if the cell is empty.

    A list is returned as it is. Text is JSON, a list or an array as Python and NumPy print it, or numbers with blanks,
    commas, semicolons or bars between.

    Args:
        decimal_commas: commas in text belong to numbers.
    """
    if not isinstance(cell, str):
        return cell.tolist() if isinstance(cell, np.ndarray) else cell
    try:
        numbers = json.loads(cell)
        if not decimal_commas or not isinstance(numbers, list):
            return numbers if isinstance(numbers, list) else [numbers]
    except (ValueError, RecursionError):
        pass
    array = _PRINTED_ARRAY.fullmatch(cell)
    text = _PRINTED_SCALAR.sub(r"\1", array[1] if array else cell)
    if "'" in text:
        return _quoted(text)
    separators = _SEPARATORS_BUT_COMMA if decimal_commas else _SEPARATORS
    parts = [part for part in separators.split(text.strip(_BRACKETS)) if part]
    if not parts:
        return [] if cell.strip() else None
    if len(parts) == 1 and parts[0].lower() in _UNKNOWN:
        return None
    return [_number(part.replace(",", ".") if decimal_commas else part) for part in parts]


def _quoted(text: str) -> list:
    """Return the entries of a list with some texts in single quotes."""
    parts = re.findall(r"'([^']*)'|([^\s,;|'\[\](){}]+)", text)
    return [quoted if quoted or not plain else _number(plain) for quoted, plain in parts]


def has_decimal_commas(cells: Iterable[object]) -> bool:
    """Return whether the commas in the texts of a column belong to numbers.

    They do if another separator cuts every text into numbers, and some of the numbers have a comma.
    """
    seen = False
    for cell in cells:
        if not isinstance(cell, str) or "," not in cell:
            continue
        parts = [part for part in _SEPARATORS_BUT_COMMA.split(cell.strip(_BRACKETS)) if part]
        if not all(_WITH_COMMA.fullmatch(part) or part.lower() in _UNKNOWN for part in parts):
            return False
        seen |= len(parts) > 1
    return seen


def _number(part: str) -> object:
    if _NUMBER.fullmatch(part):
        return float(part)
    return None if part.lower() in _UNKNOWN else part


def direction_list(cell: object, words: dict[str, int]) -> object:
    """Return a cell of directions as a list of numbers; each word gets a number from `words`, which grows.

    Signs and arrows may follow one another without separators (``+--+``).
    """
    if isinstance(cell, str):
        squeezed = cell.strip()
        if squeezed and (set(squeezed) <= set("+-") or set(squeezed) <= set("<>")):
            parts: object = list(squeezed)
        elif ("<" in cell or ">" in cell) and "'" not in cell and '"' not in cell:
            parts = _SEPARATORS.split(squeezed.strip("[]() "))
        else:
            parts = listed(cell)
    else:
        parts = listed(cell)
    if not isinstance(parts, list) or not any(isinstance(part, str) for part in parts):
        return parts
    return [_word(part, words) if isinstance(part, str) else part for part in parts]


def _word(part: str, words: dict[str, int]) -> object:
    part = part.strip().strip("\"'").lower()
    if _NUMBER.fullmatch(part):
        return float(part)
    if part in _UNKNOWN:
        return None
    if part in TRUTH:
        return TRUTH[part]
    return WORDS_FROM + words.setdefault(part, len(words))


class Dates:
    """Turns the dates and durations in the time lists of one file into seconds.

    Dates are ISO 8601, in UTC if they name no time zone. They count from the first date of the file, so that
    nanoseconds survive.

    Attributes:
        kind: what the file holds: ``"dates"``, ``"durations"``, or None for numbers only.
    """

    def __init__(self) -> None:
        self.kind: str | None = None
        self._first: int | None = None

    def seconds(self, cell: object) -> object:
        """Return the list `cell` with seconds in place of dates and durations; any other cell as it is."""
        if not isinstance(cell, list) or not any(isinstance(one, str | datetime | timedelta) for one in cell):
            return cell
        return [self._seconds(one) for one in cell]

    def _seconds(self, one: object) -> object:
        if isinstance(one, timedelta):
            self.kind = self.kind or "durations"
            return one.total_seconds()
        moment = _nanoseconds(one)
        if moment is None:
            return None if one != one or str(one).lower() in _UNKNOWN else one
        self.kind = "dates"
        self._first = moment if self._first is None else self._first
        return (moment - self._first) / _SECOND


def _nanoseconds(one: object) -> int | None:
    """Return a date as nanoseconds since 1970; None if it is none."""
    if isinstance(one, datetime):
        if one != one:  # NaT
            return None
        aware = one if one.tzinfo else one.replace(tzinfo=UTC)
        return (aware - _1970) // timedelta(microseconds=1) * 1_000 + getattr(one, "nanosecond", 0)
    match = _DATE.fullmatch(one.strip()) if isinstance(one, str) else None
    if match is None:
        return None
    zone = "+00:00" if match[3] in (None, "Z", "UTC") else match[3]
    try:
        whole = datetime.fromisoformat(match[1].replace("/", "-") + zone)
    except ValueError:
        return None
    return round((whole - _1970).total_seconds()) * _SECOND + int((match[2] or "0")[:9].ljust(9, "0"))
