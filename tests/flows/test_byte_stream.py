import io

import pytest

from hf_ntg.flows import byte_stream
from hf_ntg.flows.byte_stream import BrokenFileError, ChunkStream, CountedFile, DamagedStreamError, bounded, peeked


def broken_after(*chunks):
    yield from chunks
    raise DamagedStreamError("damaged")


def test_reads_cross_the_borders_of_chunks():
    stream = ChunkStream(iter([b"abc", b"d", b"ef"]), io.BytesIO())
    assert stream.peek(4)[:4] == b"abcd"
    assert [stream.read(2), stream.read1(), stream.read(), stream.read(5)] == [b"ab", b"cd", b"ef", b""]


def test_bytes_before_damage_are_given_before_it_is_raised():
    stream = ChunkStream(broken_after(b"abc"), io.BytesIO())
    assert stream.read(5) == b"abc"
    for _ in range(2):
        with pytest.raises(DamagedStreamError):
            stream.read(5)
    with pytest.raises(DamagedStreamError):
        ChunkStream(broken_after(b"abc"), io.BytesIO()).read()


def test_a_peek_loses_neither_bytes_nor_damage():
    head, chunks = peeked(broken_after(b"abc", b"defgh"))
    assert head == b"abcdef"
    assert [next(chunks), next(chunks)] == [b"abc", b"defgh"]
    with pytest.raises(DamagedStreamError):
        next(chunks)


def test_bytes_are_counted_as_they_are_read():
    seen = []
    file = CountedFile(io.BytesIO(b"abcdef"), seen.append)
    assert file.read(4) == b"abcd"
    assert list(file.chunks(b"")) == [b"ef"]
    assert (file.count, seen) == (6, [4, 0, 2])


def test_the_limit_grows_with_the_packed_size(monkeypatch):
    monkeypatch.setattr(byte_stream, "FREE_BYTES", 10)
    monkeypatch.setattr(byte_stream, "MAX_RATIO", 2)
    assert list(bounded(iter([b"x" * 10]), lambda: 0, "a.gz")) == [b"x" * 10]
    assert list(bounded(iter([b"x" * 20]), lambda: 10, "a.gz")) == [b"x" * 20]
    with pytest.raises(BrokenFileError, match=r"a\.gz: .*decompression bomb"):
        list(bounded(iter([b"x" * 20, b"x"]), lambda: 10, "a.gz"))
