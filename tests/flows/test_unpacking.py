import bz2
import gzip
import lzma
import os
import threading
import zlib

import pyarrow as pa
import pytest

from hf_ntg.errors import InputError
from hf_ntg.flows import byte_stream
from hf_ntg.flows.byte_stream import STREAM_ERRORS, BrokenFileError
from hf_ntg.flows.unpacking import first_bytes, open_unpacked, printable_name

DATA = os.urandom(2_200_000) + b"x" * 100_000


def arrow(name):
    def pack(data):
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, name) as out:
            out.write(data)
        return sink.getvalue().to_pybytes()

    return pack


PACKINGS = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": arrow("zstd"),
    "lz4": arrow("lz4"),
}


@pytest.mark.parametrize("pack", PACKINGS.values(), ids=PACKINGS)
def test_packings_are_known_by_their_first_bytes(tmp_path, pack):
    path, read = tmp_path / "name-without-suffix", []
    for packed, wanted in (
        (pack(DATA), DATA),
        (pack(pack(b"twice")), b"twice"),
        (pack(b"one") + pack(b"two"), b"onetwo"),
    ):
        path.write_bytes(packed)
        with open_unpacked(path, read.append) as file:
            assert first_bytes(file, path, 3) == wanted[:3]
            assert file.read(2) + file.read() == wanted
        assert sum(read) == len(packed)
        read.clear()


@pytest.mark.parametrize("pack", PACKINGS.values(), ids=PACKINGS)
def test_what_precedes_damage_is_given(tmp_path, pack):
    path = tmp_path / "x"
    path.write_bytes(pack(DATA)[:-600_000])
    found = bytearray()

    def read_all():
        with open_unpacked(path) as file:
            while True:
                found.extend(file.read(1000))

    with pytest.raises(STREAM_ERRORS):
        read_all()
    assert len(found) > 500_000
    assert DATA.startswith(bytes(found))


def test_pipes_are_read_once(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(gzip.compress(DATA)))
    writer.start()
    with open_unpacked(pipe) as file:
        assert first_bytes(file, pipe) == DATA[:4]
        assert file.read() == DATA
    writer.join()


def test_bombs_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(byte_stream, "FREE_BYTES", 1 << 20)
    path = tmp_path / "bomb.gz"
    path.write_bytes(zlib.compress(bytes(20 << 20), wbits=31))
    with open_unpacked(path) as file, pytest.raises(BrokenFileError, match="decompression bomb"):
        file.read()
    with open_unpacked(path) as file, pytest.raises(BrokenFileError, match="decompression bomb"):
        list(iter(lambda: file.read(2 << 20), b""))
    path.write_bytes(b"y" * 10)
    for _ in range(4):
        path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(InputError, match="packed more than 3 times"):
        open_unpacked(path)


def test_names_are_shown_on_one_line_in_valid_text():
    assert printable_name(os.fsdecode(b"caf\xe9\n.pcap")) == "caf\\xe9\\n.pcap"
    assert printable_name("café") == "café"
