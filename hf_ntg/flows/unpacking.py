"""Any source of bytes as one bounded stream: plain or packed files and pipes; and zip archives, unpacked.

Packings (gzip, bzip2, xz, zstd, lz4) are recognised by their first bytes, not by names. Memory does not grow with the
source, and a source that unpacks to far more than its size is refused (:data:`FREE_BYTES`, :data:`MAX_RATIO`).
"""

from __future__ import annotations

import bz2
import io
import lzma
import shutil
import stat
import struct
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from hf_ntg.errors import InputError

__all__ = [
    "FREE_BYTES",
    "MAX_RATIO",
    "PACKED_SUFFIXES",
    "STREAM_ERRORS",
    "ZIP_ERRORS",
    "ZIP_MAGICS",
    "BrokenFileError",
    "Tell",
    "copy_pipe",
    "first_bytes",
    "is_pipe",
    "is_zip",
    "open_seekable",
    "open_unpacked",
    "printable_name",
    "unpack_zip",
    "unpacked_name",
    "zip_members",
]

Tell = Callable[[int], None]
"""Called with the number of bytes read since the last call."""

FREE_BYTES = 1 << 30
"""A source may always unpack to this many bytes."""
MAX_RATIO = 250
"""Beyond :data:`FREE_BYTES`, a source may unpack to this many times its packed size."""
MAX_PIPE = 64 << 30
"""Bytes that are read from a pipe."""
PACKED_SUFFIXES = (".gz", ".bz2", ".xz", ".zst", ".lz4")
MAX_MEMBERS = 100_000
_MAX_LAYERS = 3
_CHUNK = 1 << 20
_SLICE = 1 << 16
_SMALL_SLICE = 512  # where a call that meets damage cannot be repeated
_MAX_DICTIONARY = 256 << 20  # bytes of memory that xz may ask for
ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
ZIP_ERRORS = (
    zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, OverflowError, struct.error, lzma.LZMAError,
    ValueError, EOFError, zlib.error,
)  # fmt: skip


class BrokenFileError(InputError):
    """A file breaks off or is damaged; everything before that place has been read."""


class DamagedStreamError(EOFError):
    """Packed data that is damaged or cut off."""


STREAM_ERRORS = (EOFError, zlib.error)
"""What reading a stream raises where its packing is damaged."""


def printable_name(name: str) -> str:
    """`name` on one line and in valid UTF-8: bytes that are not UTF-8 and control characters are shown escaped."""
    escaped = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in escaped)


def unpacked_name(name: str) -> str:
    """A file's name in lower case, without the suffixes of packings."""
    name = name.lower()
    while name.endswith(PACKED_SUFFIXES):
        name = name.rpartition(".")[0]
    return name


def is_pipe(source: Path) -> bool:
    """Is `source` a pipe, a terminal or a socket, which can be read only once?"""
    try:
        mode = source.stat().st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)


def open_unpacked(path: str | Path, tell: Tell | None = None) -> BinaryIO:
    """Open `path` for reading in order, unpacked if its first bytes are those of a known packing.

    What precedes damage is given before ``read`` raises one of :data:`STREAM_ERRORS`.

    Args:
        path: a file or a pipe.
        tell: called with the bytes read from the disk.

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
        raise InputError(f"{printable_name(str(source))}: cannot be read ({_first_line(error)})") from error
    if _packing(head) is None and file.seekable():
        file.seek(0)
        return file if tell is None else cast(BinaryIO, io.BufferedReader(_Counted(file, tell), _CHUNK))
    counted = _Counted(file, tell)
    chunks = counted.chunks(head)
    packed = False
    for _ in range(_MAX_LAYERS):
        packing = _packing(head)
        if packing is None:
            break
        chunks, packed = packing(chunks), True
        head, chunks = _peek(chunks)
    if _packing(head) is not None:
        raise InputError(f"{source}: packed more than {_MAX_LAYERS} times over; unpack it first")
    chunks = _bounded(chunks, lambda: counted.count, source) if packed else chunks
    return cast(BinaryIO, _Stream(chunks, file))


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
                shutil.copyfileobj(file, copy, _CHUNK)
            except STREAM_ERRORS as error:
                raise BrokenFileError(f"{path}: damaged or cut off ({_first_line(error)})") from error
            copy.seek(0)
            yield cast(BinaryIO, copy)


def first_bytes(file: BinaryIO, path: str | Path, size: int = 4) -> bytes:
    """The first `size` bytes of `file`, which is back at its start then.

    Raises:
        BrokenFileError: they cannot be unpacked.
    """
    try:
        if isinstance(file, _Stream):
            return file.peek(size)[:size]
        start = file.read(size)
    except STREAM_ERRORS as error:
        raise BrokenFileError(f"{path}: damaged or cut off ({_first_line(error)})") from error
    file.seek(0)
    return start


def copy_pipe(pipe: Path, folder: Path) -> Path:
    """Copy all bytes of `pipe` to a file of its name in `folder`, so that they can be read more than once.

    Raises:
        InputError: the pipe cannot be read, or gives more than :data:`MAX_PIPE` bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    copy, total = folder / (pipe.name or "pipe"), 0
    try:
        with pipe.open("rb") as file, copy.open("xb") as out:
            while chunk := file.read(_CHUNK):
                total += len(chunk)
                if total > MAX_PIPE:
                    raise InputError(f"{pipe}: more than {MAX_PIPE >> 30} GiB through a pipe; write it to a file first")
                out.write(chunk)
    except OSError as error:
        raise InputError(f"{pipe}: cannot be read ({error.strerror})") from error
    return copy


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
        raise BrokenFileError(f"{archive}: a damaged or unreadable zip ({_first_line(error)})") from error
    if len(infos) > MAX_MEMBERS:
        raise InputError(f"{archive}: a zip of more than {MAX_MEMBERS:,} files; unpack it first")
    allowed = max(4 * FREE_BYTES, MAX_RATIO * archive.stat().st_size)
    if sum(info.file_size for info in infos) > allowed:
        raise InputError(_too_large(archive, allowed))
    names = sorted({info.filename for info in infos if not info.filename.endswith("/")} - {""})
    return [name for name in names if not _is_hidden(name)]


def unpack_zip(archive: Path, folder: Path) -> list[str]:
    """Unpack the files of a zip archive into `folder`, under their own names; nothing is written outside it.

    Returns:
        One line for every member that is damaged, encrypted or itself a zip; the others are unpacked.

    Raises:
        InputError: as :func:`zip_members`.
    """
    problems = []
    for number, name in enumerate(zip_members(archive)):
        if name.lower().endswith(".zip"):
            problems.append(f"{archive}: {printable_name(name)}: a zip in a zip; unpack the outer one first")
            continue
        parts = [printable_name(part).replace("\\", "_") for part in name.split("/") if part not in ("", ".", "..")]
        path = folder.joinpath(*parts) if parts else folder / str(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with zipfile.ZipFile(archive) as opened, opened.open(name) as packed, path.open("xb") as out:
                shutil.copyfileobj(packed, out, _CHUNK)
        except ZIP_ERRORS as error:
            path.unlink(missing_ok=True)
            problems.append(f"{archive}: {printable_name(name)}: cannot be unpacked ({_first_line(error)})")
    return problems


def _is_hidden(member: str) -> bool:
    return member.startswith("__MACOSX/") or member.rsplit("/", 1)[-1].startswith(".")


class _Counted(io.RawIOBase):
    """A file that counts the bytes read from it and reports them."""

    def __init__(self, file: BinaryIO, tell: Tell | None) -> None:
        self._file, self._tell = file, tell
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
        while chunk := self._file.read(_CHUNK):
            self._add(len(chunk))
            yield chunk

    def _add(self, count: int) -> None:
        self.count += count
        if self._tell is not None:
            self._tell(count)

    def close(self) -> None:
        self._file.close()
        super().close()


class _Stream(io.BufferedIOBase):
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


def _bounded(chunks: Iterator[bytes], packed_size: Callable[[], int], source: Path) -> Iterator[bytes]:
    """`chunks` until they are more than `source` may unpack to."""
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > FREE_BYTES and total > MAX_RATIO * packed_size():
            raise BrokenFileError(_too_large(source, max(FREE_BYTES, MAX_RATIO * packed_size())))
        yield chunk


def _too_large(source: Path, allowed: int) -> str:
    return (
        f"{source}: unpacks to more than {allowed >> 20:,} MiB (1 GiB or {MAX_RATIO} times its size): refused as a "
        "decompression bomb; unpack it yourself if it is sound"
    )


def _peek(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
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


def _packing(head: bytes) -> Callable[[Iterator[bytes]], Iterator[bytes]] | None:
    """What unpacks a stream that begins with `head`; None if it is not packed."""
    return next((unpack for magic, unpack in _PACKINGS.items() if head.startswith(magic)), None)


def _gzip(chunks: Iterator[bytes]) -> Iterator[bytes]:
    return _streams("gzip", chunks, lambda: zlib.decompressobj(wbits=31), zlib.error, trailing_zeros=True)


def _bzip2(chunks: Iterator[bytes]) -> Iterator[bytes]:
    return _streams("bzip2", chunks, bz2.BZ2Decompressor, OSError)


def _xz(chunks: Iterator[bytes]) -> Iterator[bytes]:
    make = lambda: lzma.LZMADecompressor(memlimit=_MAX_DICTIONARY)  # noqa: E731
    return _streams("xz", chunks, make, lzma.LZMAError, trailing_zeros=True)


def _streams(
    packing: str, chunks: Iterator[bytes], make: Callable, damage: type[Exception], trailing_zeros: bool = False
) -> Iterator[bytes]:
    """Unpack streams that follow one another, a little at a time: damage costs no more than what precedes it holds."""
    unpacker, begun = make(), False
    for piece in _slices(chunks, _SLICE if hasattr(unpacker, "copy") else _SMALL_SLICE):
        while piece:
            if not begun and trailing_zeros and not piece.strip(b"\0"):
                break
            begun = True
            before = unpacker.copy() if hasattr(unpacker, "copy") else None
            try:
                if out := unpacker.decompress(piece, _SLICE):
                    yield out
                rest = getattr(unpacker, "unconsumed_tail", b"")
                while not unpacker.eof and not rest and not getattr(unpacker, "needs_input", True):
                    if out := unpacker.decompress(b"", _SLICE):
                        yield out
            except damage as error:
                if before is not None:
                    yield from _byte_by_byte(before, piece, damage)
                raise DamagedStreamError(f"the {packing} stream is damaged ({_first_line(error)})") from error
            piece = rest
            if unpacker.eof:
                piece, unpacker, begun = unpacker.unused_data, make(), False
    if begun:
        if rest := unpacker.flush() if hasattr(unpacker, "flush") else b"":
            yield rest
        raise DamagedStreamError(f"the {packing} stream is cut off")


def _slices(chunks: Iterator[bytes], size: int) -> Iterator[bytes]:
    for chunk in chunks:
        for begin in range(0, len(chunk), size):
            yield chunk[begin : begin + size]


def _byte_by_byte(unpacker, packed: bytes, damage: type[Exception]) -> Iterator[bytes]:
    """What `packed` unpacks to before its damage; zlib drops what a failing call had unpacked."""
    try:
        for place in range(len(packed)):
            if out := unpacker.decompress(packed[place : place + 1]):
                yield out
    except damage:
        return


def _arrow(packing: str) -> Callable[[Iterator[bytes]], Iterator[bytes]]:
    def unpack(chunks: Iterator[bytes]) -> Iterator[bytes]:
        try:
            with pa.CompressedInputStream(pa.PythonFile(_Pieces(chunks), mode="r"), packing) as stream:
                while out := stream.read(_CHUNK):
                    yield out
        except (OSError, pa.ArrowException) as error:
            raise DamagedStreamError(f"the {packing} stream is damaged or cut off ({_first_line(error)})") from error

    return unpack


class _Pieces(io.RawIOBase):
    """Chunks of bytes as the file that Arrow reads from."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._stream = _Stream(chunks, io.BytesIO())

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._stream.read(size)


_PACKINGS: dict[bytes, Callable[[Iterator[bytes]], Iterator[bytes]]] = {
    b"\x1f\x8b": _gzip,
    b"BZh": _bzip2,
    b"\xfd7zXZ\0": _xz,
    b"\x28\xb5\x2f\xfd": _arrow("zstd"),
    b"\x04\x22\x4d\x18": _arrow("lz4"),
}


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
