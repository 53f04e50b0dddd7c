"""Packings of streams, recognised by their first bytes: gzip, bzip2, xz, zstd and lz4.

Each function takes packed chunks of bytes and yields unpacked ones. What precedes damage is given before
:class:`~hf_ntg.flows.byte_stream.DamagedStreamError` is raised.
"""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Callable, Iterator

import pyarrow as pa

from hf_ntg.flows.byte_stream import CHUNK, ChunkStream, DamagedStreamError, first_line

__all__ = ["PACKED_SUFFIXES", "Unpack", "packing_of", "unpacked_name"]

Unpack = Callable[[Iterator[bytes]], Iterator[bytes]]
"""Takes packed chunks and yields unpacked ones."""

PACKED_SUFFIXES = (".gz", ".bz2", ".xz", ".zst", ".lz4")
_SLICE = 1 << 16
_SMALL_SLICE = 512  # where a call that meets damage cannot be repeated
_MAX_DICTIONARY = 256 << 20  # bytes of memory that xz may ask for


def unpacked_name(name: str) -> str:
    """A file's name in lower case, without the suffixes of packings."""
    name = name.lower()
    while name.endswith(PACKED_SUFFIXES):
        name = name.rpartition(".")[0]
    return name


def packing_of(head: bytes) -> Callable[[Iterator[bytes]], Iterator[bytes]] | None:
    """What unpacks a stream that begins with `head`; None if it is not packed."""
    return next((unpack for magic, unpack in _PACKINGS.items() if head.startswith(magic)), None)


def _gzip(chunks: Iterator[bytes]) -> Iterator[bytes]:
    return _unpacked_streams("gzip", chunks, lambda: zlib.decompressobj(wbits=31), zlib.error, trailing_zeros=True)


def _bzip2(chunks: Iterator[bytes]) -> Iterator[bytes]:
    return _unpacked_streams("bzip2", chunks, bz2.BZ2Decompressor, OSError)


def _xz(chunks: Iterator[bytes]) -> Iterator[bytes]:
    make = lambda: lzma.LZMADecompressor(memlimit=_MAX_DICTIONARY)  # noqa: E731
    return _unpacked_streams("xz", chunks, make, lzma.LZMAError, trailing_zeros=True)


def _unpacked_streams(
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
                raise DamagedStreamError(f"the {packing} stream is damaged ({first_line(error)})") from error
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


def _by_arrow(packing: str) -> Callable[[Iterator[bytes]], Iterator[bytes]]:
    def unpack(chunks: Iterator[bytes]) -> Iterator[bytes]:
        try:
            with pa.CompressedInputStream(pa.PythonFile(_ChunkFile(chunks), mode="r"), packing) as stream:
                while out := stream.read(CHUNK):
                    yield out
        except (OSError, pa.ArrowException) as error:
            raise DamagedStreamError(f"the {packing} stream is damaged or cut off ({first_line(error)})") from error

    return unpack


class _ChunkFile(io.RawIOBase):
    """Chunks of bytes as the file that Arrow reads from."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._stream = ChunkStream(chunks, io.BytesIO())

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._stream.read(size)


_PACKINGS: dict[bytes, Callable[[Iterator[bytes]], Iterator[bytes]]] = {
    b"\x1f\x8b": _gzip,
    b"BZh": _bzip2,
    b"\xfd7zXZ\0": _xz,
    b"\x28\xb5\x2f\xfd": _by_arrow("zstd"),
    b"\x04\x22\x4d\x18": _by_arrow("lz4"),
}
