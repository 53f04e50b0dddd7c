"""Trouble with the machine in one line: full disks, missing permissions, lack of memory, from any library."""

from __future__ import annotations

import errno
import re

from hf_ntg.files import NOT_UTF8, os_error_in_words, system_error

__all__ = ["machine_trouble"]

_MEMORY = re.compile(r"out of memory|not enough memory|can't allocate memory|Unable to allocate", re.IGNORECASE)
_LOST = re.compile(r"connection (closed|reset) by peer|DistBackendError|NCCL error|gloo", re.IGNORECASE)
_SURROGATE = re.compile("[\udc80-\udcff]")  # a byte of a file's name that is not UTF-8 (PEP 383)
_FAULTS = {errno.EBADF, errno.EFAULT, errno.ECHILD}  # a fault of the program, whatever the machine


def machine_trouble(error: BaseException) -> str | None:
    """What `error` says about the machine or the place that was named, as one line; None if it is another error."""
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _MEMORY.search(str(error))):
        return (
            "not enough memory for this; ask for less at once (batch size, processes, flows), or use a larger machine"
        )
    if isinstance(error, RuntimeError) and _LOST.search(f"{type(error).__name__} {error}"):
        return "another process of this job ended or cannot be reached; give the same command again"
    if isinstance(error, UnicodeEncodeError) and _SURROGATE.search(error.object):
        return f"{error.object}: {NOT_UTF8}"
    found = system_error(error)
    return None if found is None or found.errno in _FAULTS else os_error_in_words(found)
