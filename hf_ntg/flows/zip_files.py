"""Zip archives: their members, unpacked into a folder, within limits."""

from __future__ import annotations

import lzma
import shutil
import struct
import zipfile
import zlib
from pathlib import Path

from hf_ntg.errors import InputError
from hf_ntg.flows.byte_stream import CHUNK, FREE_BYTES, MAX_RATIO, BrokenFileError, first_line, too_large
from hf_ntg.flows.unpacking import is_pipe, printable_name
from hf_ntg.output_places import require_free_space

__all__ = ["ZIP_ERRORS", "ZIP_MAGICS", "is_zip", "unpack_zip", "zip_members"]

_MAX_MEMBERS = 100_000
ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
ZIP_ERRORS = (
    zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, OverflowError, struct.error, lzma.LZMAError,
    ValueError, EOFError, zlib.error,
)  # fmt: skip


def is_zip(path: Path) -> bool:
    """Does the file at `path` begin like a zip archive?"""
    if is_pipe(path):
        return False
    try:
        with path.open("rb") as file:
            return file.read(4) in ZIP_MAGICS
    except OSError:
        return False


def zip_members(archive: Path) -> list[str]:
    """The names of the files in a zip archive, sorted; folders and hidden files are left out.

    Raises:
        InputError: the zip is damaged, has too many members, or unpacks to more than the limit.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            infos = opened.infolist()
    except ZIP_ERRORS as error:
        raise BrokenFileError(f"{archive}: a damaged or unreadable zip ({first_line(error)})") from error
    if len(infos) > _MAX_MEMBERS:
        raise InputError(f"{archive}: a zip of more than {_MAX_MEMBERS:,} files; unpack it first")
    allowed = max(4 * FREE_BYTES, MAX_RATIO * archive.stat().st_size)
    if sum(info.file_size for info in infos) > allowed:
        raise InputError(too_large(archive, allowed))
    names = sorted({info.filename for info in infos if not info.filename.endswith("/")} - {""})
    return [name for name in names if not _is_hidden(name)]


def unpack_zip(archive: Path, folder: Path) -> list[str]:
    """Unpack the files of a zip archive into `folder`, under their own names; nothing is written outside it.

    Returns:
        One line for every member that is damaged, encrypted or itself a zip; the others are unpacked.

    Raises:
        InputError: as :func:`zip_members`, or the disk has too little space for them.
    """
    problems = []
    names = zip_members(archive)
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive) as opened:
        require_free_space(folder, sum(info.file_size for info in opened.infolist()))
    for number, name in enumerate(names):
        if name.lower().endswith(".zip"):
            problems.append(f"{archive}: {printable_name(name)}: a zip in a zip; unpack the outer one first")
            continue
        parts = [printable_name(part).replace("\\", "_") for part in name.split("/") if part not in ("", ".", "..")]
        path = folder.joinpath(*parts) if parts else folder / str(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with zipfile.ZipFile(archive) as opened, opened.open(name) as packed, path.open("xb") as out:
                shutil.copyfileobj(packed, out, CHUNK)
        except ZIP_ERRORS as error:
            path.unlink(missing_ok=True)
            problems.append(f"{archive}: {printable_name(name)}: cannot be unpacked ({first_line(error)})")
    return problems


def _is_hidden(member: str) -> bool:
    return member.startswith("__MACOSX/") or member.rsplit("/", 1)[-1].startswith(".")
