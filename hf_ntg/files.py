"""Files that appear whole or not at all, and checks of an output place before long work."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hf_ntg.errors import InputError

try:
    import fcntl
except ImportError:  # Windows has no flock: there, two processes are not kept apart
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "NOT_UTF8",
    "is_scratch",
    "lock_folder",
    "naming_errors",
    "new_folder",
    "os_error_in_words",
    "replacing",
    "scratch_folder",
    "system_error",
    "write_text",
]

_LONGEST_NAME = 180  # bytes of a file's name that its scratch file repeats; file systems allow 255 in all
NOT_UTF8 = "the name is not valid UTF-8, so that not every library can open it; choose another or rename it"
_NUMBER = re.compile(r"\[errno (\d+)\]|\(os error (\d+)\)", re.IGNORECASE)
_NO_WAITING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)  # for a pipe or a link of such a name
_REMEDIES = {
    errno.ENOSPC: "the disk is full; free some space or choose another place",
    errno.EDQUOT: "the disk quota is used up; free some space or choose another place",
    errno.EFBIG: "the file would exceed the size limit; raise the limit or choose another place",
    errno.EROFS: "the file system is read-only; choose another place",
    errno.EACCES: "no permission; choose another place or change its permissions",
    errno.EPERM: "not permitted; choose another place or change its permissions",
    errno.ENOENT: "no such file or folder",
    errno.ENOTDIR: "a file stands where a folder is needed; choose another place",
    errno.EEXIST: "a file stands where a folder is needed; choose another place",
    errno.EISDIR: "a folder; give the name of a file",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
    errno.ELOOP: "a link that leads back to itself; choose another place",
    errno.EMFILE: "too many open files; raise the limit (ulimit -n)",
    errno.EINVAL: "no valid name of a file; choose another",
}


def os_error_in_words(error: OSError, path: str | Path | None = None) -> str:
    """One line for an error of the operating system: the file, what is wrong, and the remedy."""
    where = path if path is not None else error.filename
    reason = _REMEDIES.get(error.errno or 0) or error.strerror or str(error)
    return reason if where is None else f"{os.fspath(where)!s}: {reason}"


def system_error(error: BaseException) -> OSError | None:
    """`error` as an error of the operating system; None if it is none.

    safetensors and pyarrow report errors of the system as text only.
    """
    if isinstance(error, InputError):  # explained already
        return None
    if isinstance(error, OSError) and error.errno:
        return error
    found = _NUMBER.search(str(error))
    if found is None:
        return None
    return OSError(int(found[1] or found[2]), (str(error).splitlines() or [""])[0])


@contextmanager
def naming_errors(target: Path, scratch: Path | None = None) -> Iterator[None]:
    """Errors of the system in the block name `target` where they name no file, or one of `scratch`.

    Raises:
        OSError: in place of an error of another library that is one of the system.
    """
    try:
        yield
    except Exception as error:
        found = system_error(error)
        if found is None:
            raise
        named = None if found.filename is None else os.fspath(found.filename)
        if named is None:
            found.filename = os.fspath(target)
        elif scratch is not None and isinstance(named, str) and Path(named).is_relative_to(scratch):
            found.filename = os.fspath(target / Path(named).relative_to(scratch))
        if found is error:
            raise
        raise found from error


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a scratch path beside `path` to write to; it replaces `path` if the block ends without an error.

    Scratch files that killed processes left for the same `path` are removed first. A running process holds a lock on
    its own, so theirs stay.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, scratch = _swept_and_locked(target, _new_file)
    with _closing(handle):
        try:
            with naming_errors(target, scratch):
                yield scratch
            scratch.chmod(0o666 & ~_umask())
            scratch.replace(target)
        finally:
            scratch.unlink(missing_ok=True)


@contextmanager
def scratch_folder(path: str | Path) -> Iterator[Path]:
    """Give a new folder beside `path`, which is removed after the block unless the block has moved it.

    Scratch folders that killed processes left for the same `path` are removed first.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, scratch = _swept_and_locked(target, _new_folder)
    with _closing(handle):
        try:
            with naming_errors(target, scratch):
                yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """Give an empty scratch folder that becomes the folder `path` if the block ends without an error.

    Raises:
        InputError: there is something at `path` already.
    """
    target = Path(path) if Path(path).name else Path(path).resolve()  # "." has no name for a scratch folder
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target}: there is something already; give a new or empty folder")
    with scratch_folder(target) as scratch:
        yield scratch
        scratch.chmod(0o777 & ~_umask())
        scratch.replace(target)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path`, whole or not at all."""
    with replacing(path) as scratch:
        scratch.write_text(text, encoding="utf-8")


def is_scratch(path: Path) -> bool:
    """Whether `path` is named like a scratch file of :func:`replacing`."""
    return path.name.startswith(".") and path.suffix == ".part"


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold a lock on `folder` while the block runs. The system frees it when the process ends, however it ends.

    File systems without such locks are left unguarded.

    Raises:
        InputError: another process holds the lock.
    """
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        if _try_lock(handle) is False:
            raise InputError(f"{folder}: another process is working there; wait for it or choose another folder")
        yield
    finally:
        os.close(handle)


@contextmanager
def _closing(handle: int) -> Iterator[None]:
    """Close an open file, and so free its lock, after the block."""
    try:
        yield
    finally:
        os.close(handle)


def _try_lock(handle: int) -> bool | None:
    """Lock an open file or folder: True if this process has the lock now, False if another has it, None: no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _swept_and_locked(target: Path, make: Callable[[Path, str], tuple[int, str]]) -> tuple[int, Path]:
    """Remove what killed processes left for `target`; make and lock a scratch file or folder beside it."""
    prefix = _scratch_prefix(target.name)
    _sweep(target.parent, prefix)
    try:
        return _locked(target.parent, prefix, make)
    except OSError as error:
        error.filename = os.fspath(target)
        raise


def _locked(folder: Path, prefix: str, make: Callable[[Path, str], tuple[int, str]]) -> tuple[int, Path]:
    """Make a scratch file or folder in `folder` and lock it; returns its handle and its path."""
    while True:
        handle, name = make(folder, prefix)
        if _try_lock(handle) is not False and os.path.exists(name):
            return handle, Path(name)
        os.close(handle)  # another process swept it away before it was locked


def _new_file(folder: Path, prefix: str) -> tuple[int, str]:
    return tempfile.mkstemp(prefix=prefix, suffix=".part", dir=folder)


def _new_folder(folder: Path, prefix: str) -> tuple[int, str]:
    while True:
        name = tempfile.mkdtemp(prefix=prefix, suffix=".part", dir=folder)
        try:
            return os.open(name, os.O_RDONLY), name
        except FileNotFoundError:  # swept away
            continue


def _sweep(folder: Path, prefix: str) -> None:
    """Remove the scratch files and folders of killed processes; running ones hold locks on theirs."""
    for path in folder.glob(f"{_escaped(prefix)}*.part"):
        try:
            handle = os.open(path, os.O_RDONLY | _NO_WAITING)
        except OSError:  # gone, another user's, or a link
            continue
        try:
            if _try_lock(handle):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)
        finally:
            os.close(handle)


def _scratch_prefix(name: str) -> str:
    encoded = os.fsencode(name)
    return f".{name}." if len(encoded) <= _LONGEST_NAME else f".{zlib.crc32(encoded):08x}."


def _escaped(text: str) -> str:
    return "".join(f"[{letter}]" if letter in "[*?" else letter for letter in text)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
