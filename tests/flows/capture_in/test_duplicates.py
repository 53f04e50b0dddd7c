"""Packets that a capture holds twice."""

import struct

import made_captures as make
import pytest
from made_captures import ACK, CLIENT, SERVER

from hf_ntg.flows.capture_in import packet_block
from hf_ntg.flows.capture_in.pcap import CaptureReader
from hf_ntg.flows.importing import import_flows
from hf_ntg.flows.reading_options import ReadingOptions

SIZES = [0, 0, 0, 517, 1400, 80, 900, 0, 0, 0]


def numbered(packets):
    """Packets with an IP identification each, as senders give them."""
    return [(time, data[:4] + struct.pack(">H", 100 + place) + data[6:]) for place, (time, data) in enumerate(packets)]


TALK = numbered(make.conversation([517, -1400, 80, -900]))


def routed(data):
    """The packet behind a router: a hop less, and another checksum of the header."""
    return data[:8] + bytes([data[8] - 1]) + data[9:10] + b"\x12\x34" + data[12:]


WAYS = {
    "at once": [one for time, data in TALK for one in ((time, data), (time + 2e-6, data))],
    "routed": [one for time, data in TALK for one in ((time, data), (time + 1e-4, routed(data)))],
    "delayed": sorted([*TALK, *((time + 0.025, data) for time, data in TALK)], key=lambda one: one[0]),
    "three times": [one for time, data in TALK for one in [(time + step * 1e-6, data) for step in range(3)]],
}


def read(tmp_path, packets, link=make.RAW_IP, **options):
    path = tmp_path / "made.pcap"
    path.write_bytes(make.pcap(packets, link=link))
    reader = CaptureReader(path, **options)
    return [batch.flows for batch in reader], reader


@pytest.mark.parametrize("chunk", [1 << 20, 120])
@pytest.mark.parametrize("packets", WAYS.values(), ids=WAYS)
def test_copies_are_counted_and_dropped_on_request(tmp_path, monkeypatch, packets, chunk):
    monkeypatch.setattr(packet_block, "_CHUNK", chunk)
    copies = len(packets) - len(TALK)
    (flows,), reader = read(tmp_path, packets)
    assert flows.packet_count.tolist() == [len(packets)]
    if chunk > 120:
        assert sum(reader.noticed.values()) == copies
        assert all("--drop-duplicates" in remark for remark in reader.noticed)
    (flows,), reader = read(tmp_path, packets, drop_duplicates=True)
    assert flows.payload_length.tolist() == SIZES
    assert reader.skipped == {"packets captured twice": copies}
    assert not reader.noticed


def test_link_layers_may_differ(tmp_path):
    packets = [
        one
        for time, data in TALK
        for one in (
            (time, b"\2" * 12 + b"\x08\0" + data),
            (time, b"\4" * 12 + b"\x81\0\0\x05\x08\0" + data),
        )
    ]
    (flows,), _ = read(tmp_path, packets, make.ETHERNET, drop_duplicates=True)
    assert flows.payload_length.tolist() == SIZES


def segment(time, number, data=b"", seq=5, flags=ACK, window=1000):
    body = make.tcp(4000, 443, flags, data, seq, 9, window)
    return time, make.ipv4(CLIENT, SERVER, 6, body, identification=number)


@pytest.mark.parametrize(
    "packets",
    [
        [segment(0, 1, b"x" * 99), segment(0.0001, 2, b"x" * 99)],  # a retransmission
        [segment(0, 1), segment(0.0001, 2), segment(0.0002, 3)],  # duplicate acknowledgements
        [segment(0, 1, b"x" * 99), segment(5, 1, b"x" * 99)],  # the identification came round
        [segment(0, 1, b"x" * 99), segment(0, 1, b"x" * 98 + b"y")],
        [segment(0, 0, b"x" * 99), segment(0.3, 0, b"x" * 99)],  # a retransmission of a stack that does not number
        [segment(0, 0), segment(0.005, 0)],
        [segment(0, 0), segment(0, 0), segment(0.1, 0, b"x" * 99)],  # an acknowledgement repeated at once, no number
        [segment(0, 1, window=1000), segment(0, 1, window=1001)],
    ],
)
def test_what_looks_like_a_copy(tmp_path, packets):
    (flows,), reader = read(tmp_path, packets, drop_duplicates=True)
    assert flows.packet_count.tolist() == [len(packets)]
    assert not reader.skipped


def test_copies_of_packets_without_identification(tmp_path):
    body = make.udp(4000, 53, b"question")
    packets = [(time, make.ipv6("2001:db8::1", "2001:db8::2", 17, body)) for time in (0, 1e-5, 1, 1.00001, 1.5)]
    (flows,), reader = read(tmp_path, packets, drop_duplicates=True)
    assert flows.packet_count.tolist() == [3]
    assert reader.skipped == {"packets captured twice": 2}


def test_import_says_it_and_drops_on_request(tmp_path):
    path = tmp_path / "twice.pcap"
    path.write_bytes(make.pcap(WAYS["at once"], link=make.RAW_IP))
    report = import_flows([path], tmp_path / "flows.parquet")
    assert any(line.startswith("noticed 10: packets captured twice") for line in report.remarks())
    report = import_flows([path], tmp_path / "flows.parquet", ReadingOptions(drop_duplicates=True))
    assert "skipped 10: packets captured twice" in report.remarks()
