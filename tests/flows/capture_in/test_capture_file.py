"""Record formats: every way to write the same packets down must give the same packets."""

import gzip
import struct

import made_captures as make
import numpy as np
import pytest

from hf_ntg.flows.byte_stream import BrokenFileError
from hf_ntg.flows.capture_in import packet_block
from hf_ntg.flows.capture_in.capture_file import read_packets

PACKETS = [(1_700_000_000 + 0.25 * place, bytes([place]) * (20 + place)) for place in range(40)]


def block(kind, body, order="<"):
    size = len(body) + 12
    return struct.pack(order + "II", kind, size) + body + struct.pack(order + "I", size)


def section(order="<"):
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link=1, snap=0, options=b"", order="<"):
    return block(1, struct.pack(order + "HHI", link, 0, snap) + options, order)


def option(code, value, order="<"):
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def enhanced(ticks, data, owner=0, order="<"):
    head = struct.pack(order + "IIIII", owner, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
    return block(6, head + data + bytes(-len(data) % 4), order)


def pcapng(order="<", resolution=6, options=b""):
    described = option(9, bytes([resolution]), order) + options + option(0, b"", order)
    blocks = [enhanced(round(time * 10**resolution), data, 0, order) for time, data in PACKETS]
    return section(order) + interface(options=described, order=order) + b"".join(blocks)


def packets_of(path):
    """(nanoseconds, link, bytes) of every packet."""
    found = []
    for part in read_packets(path):
        for row in range(len(part)):
            assert part.first + row == len(found)
            data = part.data[part.start[row] : part.start[row] + part.captured[row]].tobytes()
            found.append((int(part.time[row]), int(part.link[row]), data))
    return found


SNIFFED = "modified headers under the standard magic"  # recognised by the first records, which must be in memory
WAYS = {
    "little": make.pcap(PACKETS),
    "big": make.pcap(PACKETS, order=">"),
    "nanoseconds": make.pcap(PACKETS, magic=0xA1B23C4D, tick=1e-9),
    "big nanoseconds": make.pcap(PACKETS, magic=0xA1B23C4D, tick=1e-9, order=">"),
    "modified": make.pcap(PACKETS, magic=0xA1B2CD34, extra=bytes(8)),
    SNIFFED: make.pcap(PACKETS, extra=b"\2\0\0\0\x08\0\4\0"),
    "pcapng": pcapng(),
    "pcapng big": pcapng(">"),
    "pcapng milliseconds": pcapng(resolution=3),
    "pcapng nanoseconds": pcapng(resolution=9),
    "pcapng picoseconds": pcapng(resolution=10),
}


CASES = [(way, size) for way in WAYS for size in (1 << 20, 50) if (way, size) != (SNIFFED, 50)]


@pytest.mark.parametrize(("way", "chunk"), CASES)
def test_every_way_gives_the_same_packets(tmp_path, monkeypatch, way, chunk):
    """Whatever the format, and wherever the blocks that are read happen to end."""
    monkeypatch.setattr(packet_block, "_CHUNK", chunk)
    path = tmp_path / "way"
    path.write_bytes(WAYS[way])
    found = packets_of(path)
    assert [packet[1:] for packet in found] == [(1, data) for _, data in PACKETS]
    assert np.allclose([packet[0] for packet in found], [time * 1e9 for time, _ in PACKETS], rtol=0, atol=1000)


def test_one_record_with_a_modified_header(tmp_path):
    path = tmp_path / "one.pcap"
    path.write_bytes(make.pcap(PACKETS[:1], extra=bytes(8)))
    assert [data for _, _, data in packets_of(path)] == [PACKETS[0][1]]


def test_pcapng_interfaces_have_their_own_link_clock_and_offset(tmp_path):
    binary = option(9, b"\x8a") + option(14, struct.pack("<q", 1000))  # 2**-10 s, and 1000 s to add
    data = section() + interface(1) + interface(101, options=binary)
    data += enhanced(5_000_000, b"first") + enhanced(2048 + 512, b"second", 1) + enhanced(7, b"third", 2)
    path = tmp_path / "made.pcapng"
    path.write_bytes(data)
    first, second, third = packets_of(path)
    assert first == (5_000_000_000, 1, b"first")
    assert second == (1_002_500_000_000, 101, b"second")
    assert third[1:] == (-1, b"third")  # an interface that was never described


def test_simple_and_obsolete_packet_blocks(tmp_path):
    simple = block(3, struct.pack("<I", 9) + b"123456" + b"\0\0")  # 9 bytes on the wire, snap length 6
    obsolete = block(2, struct.pack("<HHIIII", 0, 0, 0, 3_000_000, 4, 4) + b"abcd")
    path = tmp_path / "made.pcapng"
    path.write_bytes(section() + interface(snap=6) + simple + enhanced(2_000_000, b"efgh") + simple + obsolete)
    times = [time // 10**9 for time, _, _ in packets_of(path)]
    assert times == [0, 2, 2, 3]
    assert [data for _, _, data in packets_of(path)] == [b"123456", b"efgh", b"123456", b"abcd"]
    (part,) = read_packets(path)
    assert part.wire.tolist() == [9, 4, 9, 4]


def test_sections_may_differ_in_byte_order(tmp_path):
    path = tmp_path / "made.pcapng"
    other = block(99, b"unknown!") + section(">") + interface(101, order=">") + enhanced(1, b"big", order=">")
    path.write_bytes(section() + interface(1) + enhanced(1, b"little") + other)
    assert [packet[1:] for packet in packets_of(path)] == [(1, b"little"), (101, b"big")]


@pytest.mark.parametrize("name", ["little", "modified", "pcapng"])
def test_cut_anywhere_gives_the_packets_before(tmp_path, name):
    data, path = WAYS[name], tmp_path / "cut"
    whole = [packet[2] for packet in _salvaged(path, data)[0]]
    for size in range(len(data) - 90, len(data)):
        found, error = _salvaged(path, data[:size])
        assert [packet[2] for packet in found] == whole[: len(found)]
        assert len(found) >= len(whole) - 3
        assert error is not None or len(found) < len(whole)
        if error is not None:
            assert f"after {len(found)} whole packets" in error


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (make.pcap([]) + struct.pack("<IIII", 1, 0, 300_000, 300_000) + bytes(300_000), "claims 300000 bytes"),
        (
            make.pcap(make.conversation([10], start=1_700_000_000)) * 2,
            "another capture begins here; join captures with mergecap",
        ),
        (
            make.pcap([]) + section() + block(1, bytes(8)) * 9,
            "another capture begins here; join captures with mergecap",
        ),
        (section() + block(1, bytes(8)) + struct.pack("<III", 6, 13, 0), "claims 13 bytes"),
        (section() + interface() + enhanced(1, b"abcd")[:-4] + b"\1\0\0\0", "two lengths differ"),
        (section()[:8] + bytes(20), "byte-order magic"),
        (section() + interface(options=option(9, b"\x7f")), "clock finer"),
    ],
)
def test_damage_is_named(tmp_path, data, problem):
    path = tmp_path / "damaged"
    path.write_bytes(data)
    with pytest.raises(BrokenFileError, match=problem):
        packets_of(path)


def _salvaged(path, data):
    path.write_bytes(data)
    found, error = [], None
    try:
        for part in read_packets(path):
            for row in range(len(part)):
                kept = part.data[part.start[row] : part.start[row] + part.captured[row]].tobytes()
                found.append((0, 0, kept))
    except BrokenFileError as caught:
        error = str(caught)
    return found, error


def test_packets_of_zeros_are_no_modified_headers(tmp_path):
    path = tmp_path / "zeros.pcap"
    path.write_bytes(make.pcap([(5, bytes(64))] * 3))
    assert [data for _, _, data in packets_of(path)] == [bytes(64)] * 3


def test_more_was_captured_than_was_on_the_wire_and_nothing_at_all(tmp_path):
    records = struct.pack("<IIII", 5, 0, 4, 2) + b"abcd" + struct.pack("<IIII", 6, 0, 0, 0)
    path = tmp_path / "odd.pcap"
    path.write_bytes(make.pcap(PACKETS[:2]) + records + make.pcap(PACKETS[:1])[24:])
    found = [data for _, _, data in packets_of(path)]
    assert found == [PACKETS[0][1], PACKETS[1][1], b"abcd", b"", PACKETS[0][1]]


def test_gzip_in_pieces_cut_off_or_damaged_gives_all_that_can_be_unpacked(tmp_path):
    data = make.pcap([(place, np.random.default_rng(place).bytes(300)) for place in range(400)])
    path = tmp_path / "x.pcap.gz"
    whole, pieces = gzip.compress(data), gzip.compress(data[:50_000]) + gzip.compress(data[50_000:])
    path.write_bytes(pieces)
    assert len(packets_of(path)) == 400
    for damaged, least in ((whole[: len(whole) // 2], 190), (whole + b"junk", 400), (whole[:-8] + bytes(8), 400)):
        found, error = _salvaged(path, damaged)
        assert len(found) >= least
        assert "gzip" in error


@pytest.mark.parametrize("place", [0, 1, 5])
@pytest.mark.parametrize("seconds", [0, 2**32 - 1])
def test_an_absurd_time_does_not_change_the_size_of_record_headers(tmp_path, place, seconds):
    packets = [(1_700_000_000 + number, bytes(60 + number)) for number in range(6)]
    packets[place] = (seconds, packets[place][1])
    path = tmp_path / "x.pcap"
    path.write_bytes(make.pcap(packets))
    assert [int(size) for block in read_packets(path) for size in block.captured] == [60, 61, 62, 63, 64, 65]
