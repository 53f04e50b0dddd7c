"""What the fuzzers share: trying numbered cases that come from a seed, and their command line."""

from __future__ import annotations

import argparse
import random
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

__all__ = ["count_failures", "run_from_command_line"]

Case = tuple[str, Callable[[], list[str]]]
"""How a case was made, in words, and what it shows to be wrong."""


def count_failures(kind: str, make: Callable[[random.Random, Path], Case], count: int, seed: int) -> int:
    """Try `count` cases; print and count those that show something wrong.

    Args:
        kind: name of a case, such as ``table``.
        make: makes a case from random numbers, with files in an empty folder.
    """
    failed = 0
    for number in range(count):
        with tempfile.TemporaryDirectory() as folder:
            said, judge = make(random.Random(f"{seed} {number}"), Path(folder))
            try:
                wrong = judge()
            except Exception:  # noqa: BLE001 (whatever it is, it is what we look for)
                wrong = [traceback.format_exc()]
        if wrong:
            failed += 1
            print(f"{kind} {number} ({said}): {'; '.join(wrong)}", flush=True)
    print(f"{count} {kind}s tried, {count - failed} held, {failed} failed")
    return failed


def run_from_command_line(about: str | None, run: Callable[[int, int], int]) -> int:
    """Run a fuzzer with the options ``--count`` and ``--seed``; gives the exit status, at most 100."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    return min(run(options.count, options.seed), 100)
