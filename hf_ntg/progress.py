"""Progress of long work: a bar on a terminal, a log line every few seconds elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from types import TracebackType
from typing import Self

from tqdm import tqdm

__all__ = ["Progress", "log", "logger"]

EVERY = 5.0  # seconds between two lines where there is no terminal
logger = logging.getLogger("hf_ntg")


def log(line: str) -> None:
    """Tell the person who waits; the command line shows it unless it was told to be quiet."""
    logger.info(line)


class Progress:
    """Counts units of work.

    On a terminal it is a tqdm bar on standard error. Elsewhere it logs a line every five seconds, at level INFO of the
    logger ``hf_ntg``: a job's log file then shows that the work goes on.

    Args:
        title: what is done, such as "training". total: units in all, None if not known. unit: name of one.
        done: units that are done already. quiet: show nothing.
    """

    def __init__(
        self, title: str, total: int | None, unit: str = "flow", done: int = 0, *, quiet: bool = False
    ) -> None:
        self._title, self._total, self._unit, self._done, self._note = title, total, unit, done, ""
        shown = not quiet and logger.level < logging.WARNING
        on_terminal = shown and sys.stderr.isatty()
        options = {"total": total, "initial": done, "unit": f" {unit}s", "unit_scale": True, "desc": title}
        self._bar = tqdm(**options) if on_terminal else None
        self._logs = shown and not on_terminal
        self._started = self._last = time.monotonic()
        self._first = done

    def update(self, count: int = 1) -> None:
        """Count `count` more units as done."""
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
        elif self._logs and time.monotonic() - self._last >= EVERY:
            self._last = time.monotonic()
            log(self._line())

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

    def _line(self) -> str:
        seconds = self._last - self._started
        rate = (self._done - self._first) / max(seconds, 1e-9)
        line = f"{self._title}: {self._done:,}" + (f" of {self._total:,}" if self._total else "") + f" {self._unit}s"
        if self._total and rate:
            line += f", about {tqdm.format_interval((self._total - self._done) / rate)} left"
        return f"{line}, {self._note}" if self._note else line
