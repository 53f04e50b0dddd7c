import struct

import numpy as np
import pytest

from hf_ntg.flows.capture_out.conversation import PACKET
from hf_ntg.flows.capture_out.frames import CONTAINERS, FrameBuilder, file_header
from hf_ntg.flows.capture_out.payload import PayloadFiller


def builder(container: str = "pcap", version: int = 4, payload: str = "zero") -> FrameBuilder:
    return FrameBuilder(container, version, 1_460, 0, PayloadFiller(payload, np.random.default_rng(0)))


def test_a_udp_checksum_of_zero_is_written_as_all_ones():
    """RFC 768: zero would say that there is none. Of all ports, one makes it."""
    packets = np.zeros(65_536, dtype=PACKET)
    packets["protocol"] = 17
    packets["source_port"] = np.arange(65_536)
    records = builder().build(packets).reshape(65_536, -1)
    checksums = records[:, -2:].copy().view(">u2")
    assert (checksums == 0xFFFF).sum() == 1
    assert (checksums == 0).sum() == 0


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("version", [4, 6])
def test_sizes_are_what_is_built(container, version):
    packets = np.zeros(50, dtype=PACKET)
    packets["length"] = np.arange(50)
    packets["protocol"] = np.where(np.arange(50) % 3, 6, 17)
    packets["flags"] = np.where(np.arange(50) % 4, 0x10, 0x02)
    made = builder(container, version, "random")
    sizes = made.sizes(packets)
    assert len(made.build(packets)) == sizes.sum()
    assert [len(made.build(packets[row : row + 1])) for row in range(50)] == sizes.tolist()
    assert len(made.build(packets[:0])) == 0


def test_blocks_are_padded_and_closed_by_their_length():
    packets = np.zeros(4, dtype=PACKET)
    packets["protocol"], packets["length"] = 17, [1, 2, 3, 4]
    octets = builder("pcapng", payload="random").build(packets).tobytes()
    for length in (1, 2, 3, 4):
        kind, size, _, _, _, captured, original = struct.unpack("<7I", octets[:28])
        assert (kind, size % 4, captured, original) == (6, 0, 42 + length, 42 + length)
        assert octets[28 + captured : size - 4] == bytes(-captured % 4)
        assert struct.unpack("<I", octets[size - 4 : size]) == (size,)
        octets = octets[size:]
    assert octets == b""


def test_times():
    packets = np.zeros(1, dtype=PACKET)
    packets["protocol"], packets["time"] = 17, 1_577_836_800_123_456_789
    assert struct.unpack("<II", builder().build(packets).tobytes()[:8]) == (1_577_836_800, 123_456)
    high, low = struct.unpack("<12xII", builder("pcapng").build(packets).tobytes()[:20])
    assert high << 32 | low == 1_577_836_800_123_456_789


def test_file_headers_are_whole_blocks():
    assert len(file_header("pcap")) == 24
    section = file_header("pcapng")
    size = struct.unpack("<I", section[4:8])[0]
    interface = section[size:]
    assert struct.unpack("<II", interface[:8]) == (1, len(interface))
    assert interface[16:21] == struct.pack("<HHB", 9, 1, 9)  # nanoseconds


def test_no_datagram_begins_like_an_mpeg_transport_stream():
    packets = np.zeros(3_000, dtype=PACKET)
    packets["protocol"], packets["length"], packets["tls_record"] = 17, 188, -1
    filler, size = PayloadFiller("auto", np.random.default_rng(0)), np.full(len(packets), 188)
    buffer, start = filler.buffer(int(size.sum())), np.cumsum(size) - size
    filler.dress(buffer, packets, start, size)
    assert set(buffer[start].tolist()) == set(range(0x40, 0x80)) - {0x47}
