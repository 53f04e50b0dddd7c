"""Progress of long work: a tqdm bar in terminals and notebooks, log lines in log files."""

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

FIRST = 2.0  # seconds until the first line where there is no bar; it says how long the work will take
EVERY = 5.0  # seconds between the lines after it; later a tenth of the time so far
RARELY = 60.0  # seconds between two lines at most
CHANGED = 1.5  # factor between two estimates of the whole duration that is worth a remark
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
    as in the log file of a job, it logs lines at level INFO of the logger ``hf_ntg``: the expected duration after two
    seconds, then the state every five seconds, and more rarely the longer the work takes. A line says so when the
    expected duration has changed by half. Estimates use the speed of the later half of the work so far, and never the
    first unit, which often pays for what is loaded and compiled.

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
        self._marks: list[tuple[float, int]] = []  # time and units done: at the first update and at each line
        self._expected: float | None = None  # seconds in all, as last announced

    def update(self, count: int = 1) -> None:
        """Count `count` more units as done."""
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
        elif self._logs:
            self._log_at(time.monotonic())

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

    def _log_at(self, now: float) -> None:
        """Log a line if it is time for one. The first needs a unit whose duration is known."""
        if not self._marks:
            self._marks.append((now, self._done))
        elapsed = now - self._started
        pause = FIRST if len(self._marks) == 1 else min(max(EVERY, elapsed / 10), RARELY)
        if now - self._last < pause or now == self._marks[0][0]:
            return
        left = self._seconds_left(now)
        log(self._line(left, None if left is None else elapsed + left))
        self._last = now
        self._marks.append((now, self._done))

    def _seconds_left(self, now: float) -> float | None:
        if not self._total:
            return None
        middle = (self._marks[0][0] + now) / 2
        begun, done = next((mark for mark in reversed(self._marks) if mark[0] <= middle), self._marks[0])
        return (now - begun) * (self._total - self._done) / (self._done - done) if self._done > done else None

    def _line(self, left: float | None, whole: float | None) -> str:
        units = f"{self._unit}s"
        if left is None or whole is None:
            of = f" of {self._total:,}" if self._total else ""
            line = f"{self._title}: {self._done:,}{of} {units}"
        elif self._expected is None:
            self._expected = whole
            return f"{self._title}: {self._total:,} {units}, expected to take about {tqdm.format_interval(whole)}"
        else:
            line = f"{self._title}: {self._done:,} of {self._total:,} {units}, about {tqdm.format_interval(left)} left"
            if not 1 / CHANGED < whole / self._expected < CHANGED:
                self._expected = whole
                line += f" (now expected to take {tqdm.format_interval(whole)} in all)"
        return f"{line}, {self._note}" if self._note else line
