"""Checks that results can be written to a place, before the work that makes them."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from hf_ntg.errors import InputError
from hf_ntg.files import NOT_UTF8, os_error_in_words, scratch_folder

__all__ = ["check_output_file", "check_output_folder", "refuse_overwriting", "require_free_space"]

_LONGEST_NAME = 255  # bytes, on most file systems
_PROBE = bytes(4096)


def check_output_file(path: str | Path) -> None:
    """Check that a file can be written to `path`, and leave nothing behind.

    Raises:
        InputError: it cannot; the message says why.
    """
    path = Path(path)
    _refuse_other_bytes(path)
    if path.is_dir():
        raise InputError(os_error_in_words(IsADirectoryError(errno.EISDIR, ""), path))
    check_output_folder(path.parent)
    if "\0" not in path.name and path.exists() and not path.is_file():
        raise InputError(f"{path}: a device or the like, which a file would replace; give the name of a file")
    if "\0" in path.name:
        raise InputError(os_error_in_words(OSError(errno.EINVAL, ""), path))
    if len(os.fsencode(path.name)) > _LONGEST_NAME:
        raise InputError(os_error_in_words(OSError(errno.ENAMETOOLONG, ""), path))


def check_output_folder(path: str | Path) -> None:
    """Check that files can be written into folder `path`, made if it is missing, and leave nothing behind.

    The missing folders are made in a scratch folder, so that processes that check one place do not meet.

    Raises:
        InputError: they cannot; the message says why.
    """
    _refuse_other_bytes(Path(path))
    try:
        place, missing = _existing_part(Path(path))
        with scratch_folder(place / "probe") as scratch:
            folder = scratch.joinpath(*missing)
            folder.mkdir(parents=True, exist_ok=True)
            _write_all(folder / "probe", _PROBE)
    except (OSError, ValueError) as error:
        raise InputError(os_error_in_words(_as_os_error(error), path)) from error


def refuse_overwriting(source: str | Path, outputs: Iterable[Path]) -> None:
    """Check that none of the files `outputs` is `source`, or lies in it.

    Raises:
        InputError: one of them is.
    """
    try:
        inputs = Path(source).resolve()
    except (OSError, RuntimeError, ValueError):  # no name of a file; whoever reads it says so
        return
    for output in outputs:
        path = output.resolve()
        if path.exists() and (path == inputs or (inputs.is_dir() and path.is_relative_to(inputs))):
            raise InputError(f"{output}: is read by this command, which would overwrite it; choose another place")


def require_free_space(folder: Path, needed: int) -> None:
    """Check that the disk of `folder` has `needed` bytes free.

    Raises:
        InputError: it has fewer.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        need, have = (f"{size / 2**20:,.1f} MiB" for size in (needed, free))
        raise InputError(f"{folder}: needs {need} of disk space, {have} are free; free some or choose another place")


def _refuse_other_bytes(path: Path) -> None:
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{path}: {NOT_UTF8}") from error


def _existing_part(path: Path) -> tuple[Path, list[str]]:
    """The part of `path` that is there, a folder, and the names of the folders that are missing in it.

    Raises:
        FileExistsError: something that is no folder stands in the place of one.
    """
    missing: list[str] = []
    place = path
    while not place.is_dir():
        if os.path.lexists(place):
            raise FileExistsError(errno.EEXIST, "", os.fspath(place))
        missing.insert(0, place.name)
        if place.parent == place:
            break
        place = place.parent
    return _existing_part(Path(os.path.normpath(path))) if ".." in missing else (place, missing)


def _write_all(path: Path, data: bytes) -> None:
    with path.open("wb", buffering=0) as file:
        while data:
            data = data[file.write(data) :]
        os.fsync(file.fileno())


def _as_os_error(error: OSError | ValueError) -> OSError:
    return error if isinstance(error, OSError) else OSError(errno.EINVAL, str(error))
