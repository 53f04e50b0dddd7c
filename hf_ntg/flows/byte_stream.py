"""Bytes in chunks: read as a file, counted, and bounded, so that memory does not grow with a source."""

from __future__ import annotations

import io
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from hf_ntg.errors import InputError

__all__ = [
    "CHUNK",
    "FREE_BYTES",
    "MAX_RATIO",
    "STREAM_ERRORS",
    "BrokenFileError",
    "ChunkStream",
    "CountedFile",
    "DamagedStreamError",
    "OnRead",
    "bounded",
    "first_line",
    "peeked",
    "too_large",
]

OnRead = Callable[[int], None]
"""Called with the number of bytes read since the last call."""
FREE_BYTES = 1 << 30
"""A source may always unpack to this many bytes."""
MAX_RATIO = 250
"""Beyond :data:`FREE_BYTES`, a source may unpack to this many times its packed size."""
CHUNK = 1 << 20


class BrokenFileError(InputError):
    """A file breaks off or is damaged; everything before that place has been read."""


class DamagedStreamError(EOFError):
    """Packed data that is damaged or cut off."""


STREAM_ERRORS = (EOFError, zlib.error)
"""What reading a stream raises where its packing is damaged."""


class CountedFile(io.RawIOBase):
    """A file that counts the bytes read from it and reports them."""

    def __init__(self, file: BinaryIO, on_read: OnRead | None) -> None:
        self._file, self._on_read = file, on_read
        self.count = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._file.seekable()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def readinto(self, buffer) -> int:  # type: ignore[override]  # a file in blocking mode never gives None
        count = self._file.readinto(buffer)  # type: ignore[attr-defined]
        self._add(count)
        return count

    def chunks(self, head: bytes) -> Iterator[bytes]:
        """`head`, which was read before, and all that follows it."""
        self._add(len(head))
        if head:
            yield head
        while chunk := self._file.read(CHUNK):
            self._add(len(chunk))
            yield chunk

    def _add(self, count: int) -> None:
        self.count += count
        if self._on_read is not None:
            self._on_read(count)

    def close(self) -> None:
        self._file.close()
        super().close()


class ChunkStream(io.BufferedIOBase):
    """Chunks of bytes as a file that is read once, from the beginning to the end."""

    def __init__(self, chunks: Iterator[bytes], file: BinaryIO) -> None:
        self._chunks, self._file = chunks, file
        self._waiting = b""
        self._damage: Exception | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def peek(self, size: int = 1) -> bytes:
        """At least the next `size` bytes if there are so many, without moving on."""
        pieces, count = [self._waiting], len(self._waiting)
        while count < size and (piece := self._next(keep_damage=count > 0)):
            pieces.append(piece)
            count += len(piece)
        self._waiting = b"".join(pieces)
        return self._waiting

    def read(self, size: int | None = -1) -> bytes:
        """The next `size` bytes; fewer only at the end, or before damage that the next call raises.

        Without `size`, all bytes, and damage is raised at once.
        """
        left = sys.maxsize if size is None or size < 0 else size
        has_size = left < sys.maxsize
        pieces: list[bytes] = []
        while left:
            piece, self._waiting = self._waiting or self._next(keep_damage=has_size and bool(pieces)), b""
            if not piece:
                break
            if len(piece) > left:
                piece, self._waiting = piece[:left], piece[left:]
            pieces.append(piece)
            left -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def read1(self, size: int = -1) -> bytes:
        piece, self._waiting = self._waiting or self._next(), b""
        if 0 <= size < len(piece):
            piece, self._waiting = piece[:size], piece[size:]
        return piece

    def _next(self, keep_damage: bool = False) -> bytes:
        """The next chunk, empty at the end; damage is kept for the next call if there is something to give first."""
        if self._damage is not None:
            if keep_damage:
                return b""
            raise self._damage
        try:
            return next(self._chunks, b"")
        except (*STREAM_ERRORS, BrokenFileError) as error:
            self._damage = error.with_traceback(None)  # whose frames would keep the last chunk in memory
            if keep_damage:
                return b""
            raise

    def close(self) -> None:
        self._file.close()
        super().close()


def bounded(chunks: Iterator[bytes], packed_size: Callable[[], int], source: Path) -> Iterator[bytes]:
    """`chunks` until they are more than `source` may unpack to."""
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > FREE_BYTES and total > MAX_RATIO * packed_size():
            raise BrokenFileError(too_large(source, max(FREE_BYTES, MAX_RATIO * packed_size())))
        yield chunk


def too_large(source: Path, allowed: int) -> str:
    return (
        f"{source}: unpacks to more than {allowed >> 20:,} MiB (1 GiB or {MAX_RATIO} times its size): refused as a "
        "decompression bomb; unpack it yourself if it is sound"
    )


def peeked(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The first 6 bytes of `chunks`, and all of them again; damage is raised when they are read."""
    read: list[bytes] = []
    damage: Exception | None = None
    try:
        while sum(len(one) for one in read) < 6 and (chunk := next(chunks, b"")):
            read.append(chunk)
    except STREAM_ERRORS as error:
        damage = error.with_traceback(None)

    def again() -> Iterator[bytes]:
        yield from read
        if damage is not None:
            raise damage
        yield from chunks

    return b"".join(read)[:6], again()


def first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
