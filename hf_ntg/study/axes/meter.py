"""Meter: wall-clock time, CPU time and peak memory of a block of code."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Self

__all__ = ["Meter"]


class Meter:
    """Measures a ``with`` block.

    Attributes:
        seconds: wall-clock time. Other programs on the machine lengthen it.
        cpu_seconds: CPU time of this process on all cores. It varies less on a shared machine.
        peak_mib: peak resident memory of the process within the block, MiB, including what it held before. None where
            the system does not report it (Linux does, proc_pid_status(5)).
    """

    seconds: float
    cpu_seconds: float
    peak_mib: float | None

    def __enter__(self) -> Self:
        self._can_tell = _reset_peak()
        self._clock, self._cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds, self.cpu_seconds = time.perf_counter() - self._clock, time.process_time() - self._cpu
        self.peak_mib = _peak_mib() if self._can_tell else None


def _reset_peak() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _peak_mib() -> float:
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024
