import bz2
import gzip
import lzma

import pytest

from hf_ntg.flows.byte_stream import DamagedStreamError
from hf_ntg.flows.packings import packing_of, unpacked_name


def test_names_without_the_suffixes_of_packings():
    assert unpacked_name("A.PCAP.gz.zst") == "a.pcap"
    assert unpacked_name("flows.csv") == "flows.csv"


@pytest.mark.parametrize("head", [b"", b"PK\x03\x04", b"\xd4\xc3\xb2\xa1\x02\x00", b"\x1f"])
def test_other_bytes_are_no_packing(head):
    assert packing_of(head) is None


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress], ids=["gzip", "bzip2", "xz"])
@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_chunks_of_any_size_unpack_to_the_same(pack, size):
    packed = pack(b"first" * 50) + pack(b"second")
    chunks = (packed[begin : begin + size] for begin in range(0, len(packed), size))
    assert b"".join(packing_of(packed[:6])(chunks)) == b"first" * 50 + b"second"


def test_what_precedes_the_end_of_a_cut_stream_is_given_first():
    found = []
    packed = gzip.compress(b"a" * 1000)
    with pytest.raises(DamagedStreamError, match="gzip stream is cut off"):
        found.extend(packing_of(packed[:6])(iter([packed[:-1]])))
    assert b"".join(found) == b"a" * 1000


def test_zeros_after_a_stream_are_padding():
    packed = gzip.compress(b"a") + bytes(512)
    assert b"".join(packing_of(packed[:6])(iter([packed]))) == b"a"
