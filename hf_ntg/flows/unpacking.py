"""Any source of bytes as one bounded stream: plain files, pipes, and both when they are packed.

Packings are recognised by their first bytes, not by names (:mod:`hf_ntg.flows.packings`). Memory does not grow with the
source. A source that unpacks to far more than its size is refused (:mod:`hf_ntg.flows.byte_stream` sets the limits).
"""

from __future__ import annotations

import io
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from hf_ntg.errors import InputError
from hf_ntg.flows.byte_stream import (
    CHUNK,
    STREAM_ERRORS,
    BrokenFileError,
    ChunkStream,
    CountedFile,
    OnRead,
    bounded,
    first_line,
    peeked,
)
from hf_ntg.flows.packings import packing_of

__all__ = ["copy_pipe", "first_bytes", "is_pipe", "open_seekable", "open_unpacked", "printable_name"]

_MAX_PIPE = 64 << 30
"""Bytes that are read from a pipe."""
_MAX_LAYERS = 3


def printable_name(name: str) -> str:
    """`name` on one line and in valid UTF-8: bytes that are not UTF-8 and control characters are shown escaped."""
    escaped = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in escaped)


def is_pipe(source: Path) -> bool:
    """Is `source` a pipe, a terminal or a socket, which can be read only once?"""
    try:
        mode = source.stat().st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)


def open_unpacked(path: str | Path, on_read: OnRead | None = None) -> BinaryIO:
    """Open `path` for reading in order, unpacked if its first bytes are those of a known packing.

    What precedes damage is given before ``read`` raises one of :data:`STREAM_ERRORS`.

    Args:
        path: a file or a pipe.
        on_read: called with the bytes read from the disk.

    Raises:
        InputError: it cannot be opened, or is packed more than three times over.
        BrokenFileError: (while reading) it unpacks to more than the limit.
    """
    source = Path(path)
    try:
        file = source.open("rb")
    except OSError as error:
        raise InputError(f"{printable_name(str(source))}: cannot be opened ({error.strerror})") from error
    except ValueError as error:  # a zero byte in the name
        raise InputError(f"{printable_name(str(source))}: no file name ({error})") from error
    try:
        head = file.read(6)
    except (OSError, *STREAM_ERRORS) as error:
        raise InputError(f"{printable_name(str(source))}: cannot be read ({first_line(error)})") from error
    if packing_of(head) is None and file.seekable():
        file.seek(0)
        return file if on_read is None else cast(BinaryIO, io.BufferedReader(CountedFile(file, on_read), CHUNK))
    counted = CountedFile(file, on_read)
    chunks = counted.chunks(head)
    packed = False
    for _ in range(_MAX_LAYERS):
        packing = packing_of(head)
        if packing is None:
            break
        chunks, packed = packing(chunks), True
        head, chunks = peeked(chunks)
    if packing_of(head) is not None:
        raise InputError(f"{source}: packed more than {_MAX_LAYERS} times over; unpack it first")
    chunks = bounded(chunks, lambda: counted.count, source) if packed else chunks
    return cast(BinaryIO, ChunkStream(chunks, file))


@contextmanager
def open_seekable(path: str | Path, scratch: Path | None = None) -> Iterator[BinaryIO]:
    """Open `path` unpacked and seekable: a plain file as it is, anything else as a temporary copy in `scratch`.

    Raises:
        InputError: as :func:`open_unpacked`. BrokenFileError: the packing is damaged.
    """
    with open_unpacked(path) as file:
        if file.seekable():
            yield file
            return
        with tempfile.TemporaryFile(dir=scratch) as copy:
            try:
                shutil.copyfileobj(file, copy, CHUNK)
            except STREAM_ERRORS as error:
                raise BrokenFileError(f"{path}: damaged or cut off ({first_line(error)})") from error
            copy.seek(0)
            yield cast(BinaryIO, copy)


def first_bytes(file: BinaryIO, path: str | Path, size: int = 4) -> bytes:
    """The first `size` bytes of `file`, which is back at its start then.

    Raises:
        BrokenFileError: they cannot be unpacked.
    """
    try:
        if isinstance(file, ChunkStream):
            return file.peek(size)[:size]
        start = file.read(size)
    except STREAM_ERRORS as error:
        raise BrokenFileError(f"{path}: damaged or cut off ({first_line(error)})") from error
    file.seek(0)
    return start


def copy_pipe(pipe: Path, folder: Path) -> Path:
    """Copy all bytes of `pipe` to a file of its name in `folder`, so that they can be read more than once.

    Raises:
        InputError: the pipe cannot be read, or gives more than :data:`_MAX_PIPE` bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    copy, total = folder / (pipe.name or "pipe"), 0
    try:
        with pipe.open("rb") as file, copy.open("xb") as out:
            while chunk := file.read(CHUNK):
                total += len(chunk)
                if total > _MAX_PIPE:
                    raise InputError(
                        f"{pipe}: more than {_MAX_PIPE >> 30} GiB through a pipe; write it to a file first"
                    )
                out.write(chunk)
    except OSError as error:
        raise InputError(f"{pipe}: cannot be read ({error.strerror})") from error
    return copy
