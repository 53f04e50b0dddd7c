"""Which part of shared work is this process's."""

from __future__ import annotations

import os

from hf_ntg.errors import InputError

__all__ = ["launched_share", "parse_share"]


def parse_share(text: str) -> tuple[int, int]:
    """``"i/n"``, process i of n counted from 0, as a pair.

    Raises:
        InputError: it is not that.
    """
    first, slash, second = text.partition("/")
    if not (slash and first.isdecimal() and second.isdecimal() and int(first) < int(second)):
        raise InputError(f"shard {text!r}: give i/n, process i of n, counted from 0 to n - 1")
    return int(first), int(second)


def launched_share() -> tuple[int, int]:
    """This process's share as ``torchrun`` or ``accelerate launch`` tell it, (0, 1) for a process started alone."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
