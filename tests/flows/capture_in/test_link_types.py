"""One TCP packet behind the headers of all kinds of links and tunnels gives the same facts."""

import struct

import made_captures as make
import pytest
from one_packet import EXPECTED, PACKET, PACKET_6, SNAP, decode, facts

from hf_ntg.flows.capture_in.pcap import CaptureReader

LLC = SNAP + b"\x08\x00" + PACKET
WIRELESS = bytes([0x08, 0x01]) + bytes(22)  # a data frame to the distribution system
QOS = bytes([0x88, 0x02]) + bytes(22) + bytes(2)
RADIOTAP = b"\0\0" + struct.pack("<H", 12) + bytes(8)


def field(kind, value):
    """A field of NFLOG."""
    return struct.pack("<HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


LINKS = {
    "PPP": (9, b"\xff\x03\0\x21" + PACKET),
    "PPP without address": (9, b"\0\x57" + PACKET_6),
    "PPP with a short protocol": (9, b"\x21" + PACKET),
    "PPP in HDLC": (50, b"\xff\x03\0\x21" + PACKET),
    "Cisco HDLC on a PPP link": (50, b"\x0f\0\x08\0" + PACKET),
    "PPPoE session": (51, struct.pack(">BBHHH", 0x11, 0, 1, 99, 0x21) + PACKET),
    "Cisco HDLC": (104, b"\x0f\0\x86\xdd" + PACKET_6),
    "frame relay": (107, b"\x18\x41\x03\xcc" + PACKET),
    "frame relay, Cisco": (107, b"\x18\x41\x08\0" + PACKET),
    "OpenBSD enc": (109, bytes(12) + PACKET),
    "pflog": (117, bytes([61]) + bytes(63) + PACKET),
    "MPLS": (219, struct.pack(">I", 17 << 12 | 0x100) + PACKET),
    "NFLOG": (239, bytes(4) + field(1, bytes(4)) + field(10, b"prefix\0") + field(9, PACKET)),
    "802.11": (105, WIRELESS + LLC),
    "802.11 between stations of a bridge": (105, bytes([0x08, 0x03]) + bytes(28) + LLC),
    "802.11 with quality of service": (105, QOS + LLC),
    "802.11 with padding": (105, QOS + bytes(2) + LLC),
    "radiotap": (127, RADIOTAP + WIRELESS + LLC + bytes(4)),
    "Prism": (119, bytes(144) + WIRELESS + LLC),
    "AVS": (163, bytes(64) + WIRELESS + LLC),
    "PPI around 802.11": (192, struct.pack("<BBHI", 0, 0, 12, 105) + bytes(4) + WIRELESS + LLC),
    "PKTAP around Ethernet": (258, struct.pack("<III", 20, 1, 1) + bytes(8) + make.ethernet(PACKET)),
}
PPTP = struct.pack(">HHHHII", 0x3081, 0x880B, len(PACKET) + 2, 1, 5, 6) + b"\0\x21" + PACKET
TUNNELS = {
    "ERSPAN I": (47, struct.pack(">HH", 0, 0x88BE) + make.ethernet(PACKET)),
    "ERSPAN II": (47, struct.pack(">HHI", 0x1000, 0x88BE, 1) + bytes(8) + make.ethernet(PACKET)),
    "ERSPAN III": (47, struct.pack(">HHI", 0x1000, 0x22EB, 1) + bytes(12) + make.ethernet(PACKET)),
    "ERSPAN III with more": (47, struct.pack(">HHI", 0x1000, 0x22EB, 1) + bytes(11) + b"\1" + bytes(8)
                             + make.ethernet(PACKET)),
    "MPLS in GRE": (47, struct.pack(">HHI", 0, 0x8847, 0x100) + PACKET),
    "PPTP": (47, PPTP),
    "Geneve": (17, make.udp(5000, 6081, struct.pack(">BBHI", 2, 0, 0x6558, 7) + bytes(8) + make.ethernet(PACKET))),
    "Geneve with IP": (17, make.udp(5000, 6081, struct.pack(">BBHI", 0, 0, 0x0800, 7) + PACKET)),
    "GTP-U": (17, make.udp(2152, 2152, struct.pack(">BBHI", 0x30, 255, len(PACKET), 7) + PACKET)),
    "GTP-U with extensions": (17, make.udp(2152, 2152, struct.pack(">BBHIHBB", 0x34, 255, 0, 7, 0, 0, 0x85)
                              + b"\1\0\0\x85" + b"\1\0\0\0" + PACKET)),
}  # fmt: skip


@pytest.mark.parametrize(("link", "frame"), LINKS.values(), ids=LINKS)
def test_links(link, frame):
    packets, decoder = decode([frame], link)
    assert facts(packets) == EXPECTED
    assert not decoder.skipped


@pytest.mark.parametrize(("link", "frame"), LINKS.values(), ids=LINKS)
def test_links_cut_off_anywhere_are_counted(link, frame):
    head = len(frame) - len(PACKET) + 20 + 16
    cuts = [frame[:size] for size in range(min(head, len(frame)))]
    packets, decoder = decode(cuts, link, wire=[len(frame)] * len(cuts))
    assert len(packets) + sum(decoder.skipped.values()) == len(cuts)


@pytest.mark.parametrize(("protocol", "inside"), TUNNELS.values(), ids=TUNNELS)
def test_tunnels(protocol, inside):
    frame = make.ethernet(make.ipv4("192.0.2.8", "192.0.2.9", protocol, inside))
    packets, decoder = decode([frame], decapsulate=True)
    assert facts(packets) == EXPECTED
    assert not decoder.skipped
    for size in range(34, len(frame) - len(PACKET) + 36):
        packets, decoder = decode([frame[:size]], wire=[len(frame)], decapsulate=True)
        assert len(packets) + sum(decoder.skipped.values()) == 1


@pytest.mark.parametrize(
    ("link", "frame", "reason"),
    [
        (105, bytes([0x80, 0]) + bytes(40), "802.11 frames that are no data"),
        (105, bytes([0x48, 1]) + bytes(40), "802.11 frames that are no data"),
        (105, bytes([0x08, 0x41]) + bytes(60), "encrypted 802.11 frames"),
        (105, bytes([0x88, 1]) + bytes(22) + b"\x80\0" + bytes(60), "802.11 frames of several packets"),
        (189, bytes(64), "link type 189 (USB) not understood"),
        (239, bytes(4) + field(1, bytes(4)), "not IP"),
        (258, struct.pack("<III", 12, 1, 258) * 4, "headers nested too deep"),
    ],
)
def test_what_carries_no_ip_is_counted_by_reason(link, frame, reason):
    packets, decoder = decode([frame], link)
    assert not len(packets)
    assert decoder.skipped == {reason: 1}


def test_authenticated_packets_are_read_behind_their_header():
    head = b"\x06\x04" + bytes(22)
    inside = PACKET[20:]
    frame = make.ethernet(make.ipv4(make.CLIENT, make.SERVER, 51, head + inside))
    assert facts(decode([frame])[0]) == EXPECTED


def test_a_capture_of_another_kind_of_link_is_one_line(tmp_path):
    from hf_ntg.errors import InputError
    from hf_ntg.flows.importing import import_flows

    path = tmp_path / "usb.pcap"
    path.write_bytes(make.pcap([(0, bytes(64))] * 3, link=189))
    assert list(CaptureReader(path)) == []
    with pytest.raises(InputError, match=r"no flows in .*usb\.pcap: skipped 3: link type 189 \(USB\) not understood"):
        import_flows([path], tmp_path / "out.parquet")
