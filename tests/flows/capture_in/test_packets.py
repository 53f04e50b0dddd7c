"""Headers: every wrapping of one packet must give the same transport facts."""

import struct

import made_captures as make
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from one_packet import EXPECTED, PACKET, PACKET_6, SEGMENT, SNAP, decode, facts

from hf_ntg.flows.capture_in import packet_block
from hf_ntg.flows.capture_in.pcap import read_pcap

AUTHENTICATION = b"\x06\x04" + bytes(22)
WRAPPINGS = {
    "ethernet": make.ethernet(PACKET),
    "ethernet with padding": make.ethernet(PACKET) + bytes(20),
    "IPv6": make.ethernet(PACKET_6, 0x86DD),
    "VLAN": make.ethernet(struct.pack(">HH", 5, 0x0800) + PACKET, 0x8100),
    "stacked VLAN": make.ethernet(struct.pack(">HHHH", 5, 0x8100, 6, 0x0800) + PACKET, 0x88A8),
    "MPLS": make.ethernet(struct.pack(">II", 16 << 12, 17 << 12 | 0x100) + PACKET, 0x8847),
    "MPLS to IPv6": make.ethernet(struct.pack(">I", 17 << 12 | 0x100) + PACKET_6, 0x8847),
    "Ethernet over MPLS": make.ethernet(struct.pack(">II", 0x100, 0) + make.ethernet(PACKET), 0x8847),
    "PPPoE": make.ethernet(struct.pack(">BBHHH", 0x11, 0, 1, 99, 0x0021) + PACKET, 0x8864),
    "PPPoE to IPv6": make.ethernet(struct.pack(">BBHHH", 0x11, 0, 1, 99, 0x0057) + PACKET_6, 0x8864),
    "LLC and SNAP": make.ethernet(SNAP + b"\x08\x00" + PACKET, len(PACKET) + 8),
    "IPv6 extensions": make.ethernet(
        make.ipv6("2001:db8::1", "2001:db8::2", 0, b"\x3c" + bytes(7) + b"\x33" + bytes(7) + AUTHENTICATION + SEGMENT),
        0x86DD,
    ),
}  # fmt: skip


@pytest.mark.parametrize("frame", WRAPPINGS.values(), ids=WRAPPINGS)
def test_what_is_around_a_packet_does_not_matter(frame):
    packets, decoder = decode([frame])
    assert facts(packets) == EXPECTED
    assert not decoder.skipped


def test_a_block_of_all_wrappings_keeps_their_order():
    """Layers are peeled off in groups, which must come back together in order of capture."""
    frames = list(WRAPPINGS.values())
    packets, _ = decode(frames * 3)
    assert facts(packets) == EXPECTED * len(frames) * 3
    assert packets.number.tolist() == list(range(len(frames) * 3))


@pytest.mark.parametrize(
    ("link", "head"),
    [
        (0, struct.pack("<I", 2)),
        (0, struct.pack(">I", 2)),
        (108, struct.pack(">I", 2)),
        (113, bytes(14) + b"\x08\x00"),
        (276, b"\x08\x00" + bytes(18)),
        *((link, b"") for link in (12, 14, 101, 228, 229)),
    ],
)
def test_link_types(link, head):
    assert facts(decode([head + PACKET], link)[0]) == EXPECTED


def test_raw_links_carry_both_ip_versions():
    packets, _ = decode([PACKET, PACKET_6, PACKET], link=101)
    assert facts(packets) == EXPECTED * 3
    assert (packets.key[:, 4] & np.uint64(0xFF)).tolist() == [4, 6, 4]


def test_an_unknown_link_type_is_counted():
    packets, decoder = decode([PACKET], link=147)
    assert not len(packets)
    assert decoder.skipped == {"link type 147 not understood": 1}


def test_a_snap_length_does_not_shorten_payloads():
    packets, _ = decode([make.ethernet(PACKET)[:54]], wire=[len(make.ethernet(PACKET))])
    assert facts(packets) == EXPECTED


def test_an_ip_length_of_zero_is_as_long_as_the_frame():
    offloaded = make.tcp(1, 2, make.ACK, bytes(5000))
    ipv4 = make.ethernet(make.ipv4(make.CLIENT, make.SERVER, 6, offloaded, total=0))
    ipv6 = make.ethernet(make.ipv6("2001:db8::1", "2001:db8::2", 6, offloaded, size=0), 0x86DD)
    assert decode([ipv4, ipv6])[0].length.tolist() == [5000, 5000]


def test_udp():
    packets, _ = decode([make.ethernet(make.ipv4(make.CLIENT, make.SERVER, 17, make.udp(53, 4000, b"abc")))])
    assert facts(packets) == [(53, 4000, 3, 0, 0, 0, 0)]


DATAGRAM = make.udp(53, 4000, bytes(40))
FRAGMENTS = [(DATAGRAM[:24], 0x2000, 9), (DATAGRAM[24:32], 0x2003, 9), (DATAGRAM[32:], 4, 9)]
FRAGMENT_FACTS = [(53, 4000, 16, 0, 0, 0, 0), (53, 4000, 8, 0, 0, 0, 0), (53, 4000, 16, 0, 0, 0, 0)]


def fragments(pieces):
    return [
        make.ethernet(make.ipv4(make.CLIENT, make.SERVER, 17, piece, identification=number, fragment=place))
        for piece, place, number in pieces
    ]


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 0, 2]])
def test_a_fragment_belongs_to_the_flow_of_the_first_wherever_that_is(order):
    packets, decoder = decode(fragments([FRAGMENTS[place] for place in order] + [(DATAGRAM[24:], 3, 8)]))
    assert facts(packets) == [FRAGMENT_FACTS[place] for place in order]
    decoder.finish()
    assert decoder.skipped == {"IP fragment whose first fragment was not seen": 1}


def test_fragments_wait_for_a_first_one_in_a_later_block(tmp_path, monkeypatch):
    path = tmp_path / "late.pcap"
    path.write_bytes(make.pcap(list(enumerate(fragments([FRAGMENTS[place] for place in (2, 1, 0)])))))
    for chunk in (50, 1 << 20):
        monkeypatch.setattr(packet_block, "_CHUNK", chunk)
        flows = read_pcap(path)
        assert flows["payload_length"] == [[16, 8, 16]]
        assert flows["inter_arrival_time"] == [[0, 1, 1]]


def test_ipv6_fragments():
    datagram = make.udp(53, 4000, bytes(40))
    frames = []
    for place, more in ((0, 1), (24, 0)):
        piece = datagram[place : place + 24] if more else datagram[place:]
        head = struct.pack(">BBHI", 17, 0, place | more, 77)
        frames.append(make.ethernet(make.ipv6("2001:db8::1", "2001:db8::2", 44, head + piece), 0x86DD))
    assert facts(decode(frames)[0]) == [(53, 4000, 16, 0, 0, 0, 0), (53, 4000, 24, 0, 0, 0, 0)]


VXLAN = make.udp(5000, 4789, struct.pack(">II", 0x08000000, 42 << 8) + make.ethernet(PACKET))
LINUX_VXLAN = make.udp(5000, 8472, VXLAN[8:])
TUNNELS = {
    "VXLAN": (17, VXLAN, [(5000, 4789, len(VXLAN) - 8, 0, 0, 0, 0)]),
    "VXLAN of Linux": (17, LINUX_VXLAN, [(5000, 8472, len(VXLAN) - 8, 0, 0, 0, 0)]),
    "GRE": (47, struct.pack(">HH", 0, 0x0800) + PACKET, []),
    "GRE with key": (47, struct.pack(">HHI", 0x2000, 0x0800, 5) + PACKET, []),
    "Ethernet in GRE": (47, struct.pack(">HH", 0, 0x6558) + make.ethernet(PACKET), []),
    "IP in IP": (4, PACKET, []),
    "IPv6 in IP": (41, PACKET_6, []),
}


@pytest.mark.parametrize(("protocol", "inside", "outside"), TUNNELS.values(), ids=TUNNELS)
def test_tunnels_are_opened_on_request(protocol, inside, outside):
    frame = make.ethernet(make.ipv4("192.0.2.8", "192.0.2.9", protocol, inside))
    assert facts(decode([frame], decapsulate=True)[0]) == EXPECTED
    packets, decoder = decode([frame])
    assert facts(packets) == outside
    assert decoder.skipped == ({} if outside else {"neither TCP nor UDP": 1})


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (make.ethernet(bytes(28), 0x0806), "not IP"),
        (make.ethernet(PACKET)[:30], "cut off inside a header"),
        (make.ethernet(PACKET)[:40], "cut off inside a header"),
        (make.ethernet(b"\x44" + PACKET[1:]), "damaged IP header"),
        (make.ethernet(make.ipv4(make.CLIENT, make.SERVER, 6, SEGMENT, total=30)), "damaged TCP header"),
        (make.ethernet(make.ipv4(make.CLIENT, make.SERVER, 1, bytes(8))), "neither TCP nor UDP"),
        (make.ethernet(struct.pack(">HH", 5, 0x8100) * 30 + PACKET, 0x8100), "headers nested too deep"),
    ],
)
def test_what_cannot_be_read_is_counted_by_reason(frame, reason):
    packets, decoder = decode([frame, make.ethernet(PACKET)])
    assert facts(packets) == EXPECTED
    assert decoder.skipped == {reason: 1}


ports = st.integers(0, 65_535)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.booleans(), ports, ports, st.integers(0, 99), st.integers(0, 18)), max_size=20)
)
def test_dpkt_says_the_same(made):
    """A cross-check against an independent parser, packet by packet."""
    import dpkt

    frames, expected = [], []
    for is_tcp, is_ipv6, source, destination, size, padding in made:
        body = (
            make.tcp(source, destination, make.ACK, bytes(size), size)
            if is_tcp
            else make.udp(source, destination, bytes(size))
        )
        protocol = 6 if is_tcp else 17
        packet = (
            make.ipv6("2001:db8::1", "2001:db8::2", protocol, body)
            if is_ipv6
            else make.ipv4(make.CLIENT, make.SERVER, protocol, body)
        )
        frames.append(make.ethernet(packet, 0x86DD if is_ipv6 else 0x0800) + bytes(padding))
        transport = dpkt.ethernet.Ethernet(frames[-1]).data.data
        window, sequence = (transport.win, transport.seq) if is_tcp else (0, 0)
        payload = len(transport.data) if is_tcp else transport.ulen - 8
        expected.append((transport.sport, transport.dport, payload, window, make.ACK if is_tcp else 0, sequence, 0))
    if frames:
        assert facts(decode(frames)[0]) == expected
