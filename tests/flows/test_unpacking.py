import bz2
import gzip
import lzma
import os
import threading
import zipfile
import zlib

import pyarrow as pa
import pytest

from hf_ntg.errors import InputError
from hf_ntg.flows import unpacking
from hf_ntg.flows.unpacking import (
    STREAM_ERRORS,
    BrokenFileError,
    first_bytes,
    open_unpacked,
    printable_name,
    unpack_zip,
    unpacked_name,
)

DATA = os.urandom(3_000_000) + b"x" * 100_000


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
    path.write_bytes(pack(DATA)[:-1_000_000])
    found = bytearray()

    def read_all():
        with open_unpacked(path) as file:
            while True:
                found.extend(file.read(1000))

    with pytest.raises(STREAM_ERRORS):
        read_all()
    assert len(found) > 500_000
    assert DATA.startswith(bytes(found))


def test_bombs_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "FREE_BYTES", 1 << 20)
    path = tmp_path / "bomb.gz"
    path.write_bytes(zlib.compress(bytes(100 << 20), wbits=31))
    with open_unpacked(path) as file, pytest.raises(BrokenFileError, match="decompression bomb"):
        file.read()
    with open_unpacked(path) as file, pytest.raises(BrokenFileError, match="decompression bomb"):
        list(iter(lambda: file.read(2 << 20), b""))
    path.write_bytes(b"y" * 10)
    for _ in range(4):
        path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(InputError, match="packed more than 3 times"):
        open_unpacked(path)
    archive = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("a.pcap", bytes(10 << 20))
    with pytest.raises(InputError, match="decompression bomb"):
        unpack_zip(archive, tmp_path / "out")


def test_pipes_are_read_once(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(gzip.compress(DATA)))
    writer.start()
    with open_unpacked(pipe) as file:
        assert first_bytes(file, pipe) == DATA[:4]
        assert file.read() == DATA
    writer.join()


def test_members_of_a_zip_stay_inside_the_folder(tmp_path):
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as out:
        for name in ("../../up.pcap", "/root.pcap", "b/c.pcap", "__MACOSX/b.pcap", ".hidden"):
            out.writestr(name, name)
    assert unpack_zip(archive, tmp_path / "out") == []
    paths = [path for path in tmp_path.rglob("*.pcap") if path.is_file()]
    assert {path.relative_to(tmp_path / "out").as_posix() for path in paths} == {"up.pcap", "root.pcap", "b/c.pcap"}


def test_names():
    assert printable_name(os.fsdecode(b"caf\xe9\n.pcap")) == "caf\\xe9\\n.pcap"
    assert printable_name("café") == "café"
    assert unpacked_name("A.PCAP.gz.zst") == "a.pcap"
