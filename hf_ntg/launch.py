"""How this process was started, its share of the work, and the port that it may listen on."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from hf_ntg.errors import InputError

__all__ = ["launched_share", "living_launcher", "parse_share", "require_free_port"]

_STORE_TIMEOUT = 10.0  # seconds
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


def living_launcher() -> int | None:
    """Id of the parent process where that is a launcher, which this process should not outlive; None without one.

    Raises:
        InputError: a launcher started this process, and has ended since.
    """
    parent = os.getppid()
    if _is_launcher(parent):
        return parent
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    if parent == 1 or not _store_is_open():
        raise InputError("the launcher of this process has ended; give its command again")
    return parent  # a program that launches processes by itself


def _is_launcher(process: int) -> bool:
    try:
        words = Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:  # no such file system
        return False
    return any(Path(word).name in _LAUNCHERS or word in _LAUNCHERS for word in words[:4])


def _store_is_open() -> bool:
    """Whether torchrun's store, through which the processes of a job find each other, still takes connections.

    It ends with the launcher. Without this check, a process would wait half an hour for the others.
    """
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return True
    try:
        address = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        socket.create_connection(address, _STORE_TIMEOUT).close()
    except ConnectionRefusedError:
        return False
    except (KeyError, ValueError, OSError):  # torch says what is wrong with it
        return True
    return True


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
