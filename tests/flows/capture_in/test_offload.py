import made_captures as make
import pytest
from made_captures import ACK, CLIENT, SERVER, SYN

from hf_ntg.flows.capture_in.pcap import CaptureReader

TIMES = b"\1\1\x08\x0a" + bytes(8)


def read(tmp_path, packets, **options):
    path = tmp_path / "made.pcap"
    path.write_bytes(make.pcap([(place, data) for place, data in enumerate(packets)], link=make.RAW_IP))
    reader = CaptureReader(path, **options)
    (batch,) = reader
    return batch.flows, reader.noticed


def segment(flags, size=0, back=False, options=b""):
    ends, ports = ((SERVER, CLIENT), (443, 4000)) if back else ((CLIENT, SERVER), (4000, 443))
    return make.ipv4(*ends, 6, make.tcp(*ports, flags, bytes(size), options=options))


def test_super_frames_are_kept_whole_and_said(tmp_path):
    flows, noticed = read(tmp_path, [segment(ACK, 4000)])
    assert flows.payload_length.tolist() == [4000]
    assert noticed == {
        "TCP packets longer than 1460 bytes (offloaded), kept whole: --split-offload cuts them into segments": 1
    }


@pytest.mark.parametrize(
    ("announced", "options", "expected"),
    [
        (None, b"", [1460, 1460, 1080]),
        (None, TIMES, [1448, 1448, 1104]),
        (1000, b"", [1000, 1000, 1000, 1000]),
        (1400, TIMES, [1388, 1388, 1224]),
    ],
)
def test_super_frames_are_split_at_the_segment_size_that_was_agreed(tmp_path, announced, options, expected):
    syn = segment(SYN, options=b"\2\4" + announced.to_bytes(2) if announced else b"")
    answer = segment(SYN | ACK, back=True, options=b"\1\2\4\x05\xb4\0\0\0")
    flows, noticed = read(
        tmp_path, [syn, answer, segment(ACK, 4000, options=options), segment(ACK, 10)], split_offload=True
    )
    assert flows.payload_length.tolist() == [0, 0, *expected, 10]
    assert flows.inter_arrival_time.tolist() == [0, 1, 1, *[0] * (len(expected) - 1), 1]
    assert flows.packet_count.tolist() == [3 + len(expected)]
    assert noticed == {"offloaded TCP packets split into segments": 1}


def test_max_packets_counts_segments(tmp_path):
    flows, _ = read(tmp_path, [segment(ACK, 4000), segment(ACK, 4000)], split_offload=True, max_packets=4)
    assert flows.payload_length.tolist() == [1460, 1460, 1080, 1460]
    assert flows.packet_count.tolist() == [6]


def datagram(size, back=False):
    ends, ports = ((SERVER, CLIENT), (443, 4000)) if back else ((CLIENT, SERVER), (4000, 443))
    return make.ipv4(*ends, 17, make.udp(*ports, bytes(size)))


@pytest.mark.parametrize(
    ("before", "expected"),
    [([1200, 1200], [1200, 1200, 1200, 400]), ([100], [1472, 1472, 1056]), ([], [1472, 1472, 1056])],
)
def test_long_datagrams_are_split_like_the_others_of_the_flow(tmp_path, before, expected):
    """UDP_SEGMENT cuts into datagrams of one size, which QUIC keeps for a connection."""
    packets = [*(datagram(size, back=True) for size in before), datagram(4000)]
    flows, noticed = read(tmp_path, packets, split_offload=True)
    assert flows.payload_length.tolist() == before + expected
    assert noticed == {"offloaded UDP packets split into datagrams": 1}
    flows, noticed = read(tmp_path, packets)
    assert flows.payload_length.tolist() == [*before, 4000]
    assert noticed == {
        "UDP packets longer than a frame (offloaded), kept whole: --split-offload cuts them into datagrams": 1
    }


def test_fragments_are_never_split(tmp_path):
    """A later fragment carries 1,480 bytes, more than a datagram can."""
    whole = make.udp(53, 4000, bytes(3000))
    pieces = [(whole[:1480], 0x2000), (whole[1480:2960], 0x2000 | 185), (whole[2960:], 370)]
    packets = [make.ipv4(SERVER, CLIENT, 17, piece, identification=7, fragment=place) for piece, place in pieces]
    flows, noticed = read(tmp_path, packets, split_offload=True)
    assert flows.payload_length.tolist() == [1472, 1480, 48]
    assert not noticed
