"""Progress of long work: a tqdm bar in terminals and notebooks, a log line every few seconds in log files."""

from __future__ import annotations

import logging
import os
import sys
import time
from types import TracebackType
from typing import Any, Self

from tqdm.auto import tqdm

__all__ = [
    "Progress",
    "are_progress_bars_disabled",
    "disable_progress_bars",
    "enable_progress_bars",
    "log",
    "logger",
]

EVERY = 5.0  # seconds between two lines where there is no bar
FIRST = 2.0  # seconds until the first one, which says how long the work will take
logger = logging.getLogger("hf_ntg")
_disabled = os.environ.get("HF_NTG_DISABLE_PROGRESS_BARS", "").upper() in ("1", "ON", "YES", "TRUE")


def disable_progress_bars() -> None:
    """Show no progress of long work from now on.

    The environment variable ``HF_NTG_DISABLE_PROGRESS_BARS=1`` does the same from the start.
    """
    global _disabled
    _disabled = True


def enable_progress_bars() -> None:
    """Show progress again, after :func:`disable_progress_bars`."""
    global _disabled
    _disabled = False


def are_progress_bars_disabled() -> bool:
    """Whether progress is hidden."""
    return _disabled


def log(line: str) -> None:
    """Log one line for the user; the command line shows it unless ``--quiet`` is given."""
    logger.info(line)


class Progress:
    """Counts units of work.

    In a terminal or a notebook, and in programs that do not handle the logs of ``hf_ntg``, it is a tqdm bar. Elsewhere,
    as in the log file of a job, it logs a line at level INFO of the logger ``hf_ntg``: the expected duration after two
    seconds, then the state every five seconds.

    Args:
        title: what is done, such as "training". total: units in all, None if not known. unit: name of one.
        done: units that are done already. quiet: show nothing. leave: keep the finished bar on the screen.
    """

    def __init__(
        self,
        title: str,
        total: int | None,
        unit: str = "flow",
        done: int = 0,
        *,
        quiet: bool = False,
        leave: bool = True,
    ) -> None:
        self._title, self._total, self._unit, self._done, self._note = title, total, unit, done, ""
        shown = not (quiet or _disabled) and logger.level < logging.WARNING
        as_bar = shown and (sys.stderr.isatty() or not logger.hasHandlers())
        options: dict[str, Any] = {"total": total, "initial": done, "unit": f" {unit}s", "unit_scale": True}
        self._bar = tqdm(**options, desc=title, leave=leave) if as_bar else None
        self._logs = shown and not as_bar
        self._started = self._last = time.monotonic()
        self._first, self._announced = done, False

    def update(self, count: int = 1) -> None:
        """Count `count` more units as done."""
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
        elif self._logs and time.monotonic() - self._last >= (EVERY if self._announced else FIRST):
            self._last = time.monotonic()
            log(self._line() if self._announced else self._announcement())
            self._announced = True

    def expect(self, total: int) -> None:
        """Set the number of units in all, where it becomes known later."""
        self._total = total
        if self._bar is not None:
            self._bar.total = total

    def describe(self, note: str) -> None:
        """Show `note` behind the count."""
        self._note = note
        if self._bar is not None:
            self._bar.set_postfix_str(note)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def _seconds_left(self) -> float | None:
        seconds, done = self._last - self._started, self._done - self._first
        return seconds * (self._total - self._done) / done if self._total and done else None

    def _announcement(self) -> str:
        left = self._seconds_left()
        if left is None:
            return self._line()
        whole = tqdm.format_interval(left + self._last - self._started)
        return f"{self._title}: {self._total:,} {self._unit}s, expected to take {whole} at most"

    def _line(self) -> str:
        line = f"{self._title}: {self._done:,}" + (f" of {self._total:,}" if self._total else "") + f" {self._unit}s"
        left = self._seconds_left()
        if left is not None:
            line += f", about {tqdm.format_interval(left)} left"
        return f"{line}, {self._note}" if self._note else line
