"""How this process was started, its share of the work, and the port that it may listen on."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from hf_ntg.errors import InputError

__all__ = ["is_launched", "launched_share", "parse_share", "require_free_port"]

_LAUNCHERS = ("torchrun", "torch.distributed.run", "torch.distributed.launch", "accelerate")


def parse_share(text: str) -> tuple[int, int]:
    """``"i/n"``, process i of n counted from 0, as a pair.

    Raises:
        InputError: `text` is nothing of the kind.
    """
    first, slash, second = text.partition("/")
    if not (slash and first.isdecimal() and second.isdecimal() and int(first) < int(second)):
        raise InputError(f"shard {text!r}: give i/n, process i of n, counted from 0 to n - 1")
    return int(first), int(second)


def launched_share() -> tuple[int, int]:
    """This process's share as a launcher set it, (0, 1) for a process that was started alone.

    Raises:
        InputError: RANK and WORLD_SIZE are set, but make no sense.
    """
    rank, size = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
    try:
        return parse_share(f"{rank}/{size}")
    except InputError as error:
        raise InputError(f"RANK {rank!r} and WORLD_SIZE {size!r} name no process; unset them") from error


def is_launched() -> bool:
    """Whether the parent of this process is a launcher, which it should not outlive."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return True
    try:
        words = Path(f"/proc/{os.getppid()}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:  # no such file system
        return False
    return any(Path(word).name in _LAUNCHERS or word in _LAUNCHERS for word in words[:4])


def require_free_port(port: int) -> None:
    """Check that this machine can listen on `port`.

    Raises:
        InputError: another program listens there, or it needs privileges.
    """
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            raise InputError(f"port {port}: cannot be used ({error.strerror}); choose another, such as 7861") from error
