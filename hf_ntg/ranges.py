"""Ranges of numbers that a user gives: declared once, checked alike on the command line and from Python."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import Any

from hf_ntg.errors import InputError

__all__ = ["COUNTS", "DRAWING", "PORTS", "PROCESSES", "SEEDS", "Range"]


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`.

    Attributes:
        low, high: the bounds. whole: only whole numbers.
        above: `low` itself is excluded. below: `high` itself is excluded.
    """

    low: float
    high: float
    whole: bool = False
    above: bool = False
    below: bool = False

    def check(self, name: str, value: Any) -> None:
        """Check that `value`, which the user knows as `name`, is a number in the range.

        Raises:
            InputError: it is none, not finite, or out of the range.
        """
        kind = numbers.Integral if self.whole else numbers.Real
        if isinstance(value, bool) or not isinstance(value, kind) or not self.holds(_as_float(value)):
            raise InputError(f"{name} {_shown(value)}: give {self}")

    def holds(self, value: float) -> bool:
        """Whether `value` is in the range; NaN never is."""
        over = value > self.low if self.above else value >= self.low
        under = value < self.high if self.below else value <= self.high
        return math.isfinite(value) and over and under

    def __str__(self) -> str:
        low = f"above {_short(self.low)}" if self.above else f"from {_short(self.low)}"
        high = f"below {_short(self.high)}" if self.below else f"to {_short(self.high)}"
        return f"a {'whole ' if self.whole else ''}number {low} {high}"


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number of more than 300 digits
        return math.inf


def _shown(value: Any) -> str:
    try:
        text = str(value)
    except ValueError:  # Python writes no whole numbers of more than 4,300 digits
        return "of thousands of digits"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _short(bound: float) -> str:
    return f"{bound:,.0f}" if float(bound).is_integer() else f"{bound:g}"


SEEDS = Range(0, 2**32 - 1, whole=True)
COUNTS = Range(1, 10**9, whole=True)
PROCESSES = Range(1, 1_024, whole=True)
PORTS = Range(1, 65_535, whole=True)
DRAWING = {
    "temperature": Range(0, 1_000, above=True),
    "num_inference_steps": Range(1, 1_000, whole=True),
    "guidance_scale": Range(-1_000, 1_000),
}
"""Ranges of the options with which flows are drawn, for all kinds of models."""
