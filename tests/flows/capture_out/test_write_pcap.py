import gzip
import itertools
import struct
import tempfile
from pathlib import Path

import dpkt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written_flows import IPV6, flow, legal_flows, table, truth, without_added

from hf_ntg import InputError
from hf_ntg.flows import FlowArrays, load_flows, write_pcap
from hf_ntg.flows.capture_in.pcap import read_pcap
from hf_ntg.flows.capture_out.frames import SYNTHETIC
from hf_ntg.flows.importing import import_flows
from hf_ntg.flows.labelling.labels import LabelRules
from hf_ntg.flows.reading_options import ReadingOptions

PATIENT = {"idle_timeout": 1e6}
WEB = "+0 -0 +0 +517 -1448 -1448 +0 +80 -0 +0 -0"


def read(path: Path, **reading) -> FlowArrays:
    return FlowArrays.from_dataset(read_pcap(path, **PATIENT, **reading))


def packets_of(path: Path) -> list[tuple[float, bytes]]:
    with path.open("rb") as capture:
        reader = dpkt.pcap.Reader if path.suffix == ".pcap" else dpkt.pcapng.Reader
        return list(reader(capture))


@settings(max_examples=25, deadline=None)
@given(
    flows=legal_flows(),
    suffix=st.sampled_from(["pcap", "pcapng"]),
    networks=st.sampled_from([{}, IPV6]),
    complete=st.booleans(),
    payload=st.sampled_from(["auto", "zero", "tls"]),
)
def test_round_trip(flows, suffix, networks, complete, payload):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"x.{suffix}"
        report = write_pcap(flows, path, seed=3, complete=complete, payload=payload, view="all", **networks)
        lines = truth(path.with_suffix(".flows.csv"))
        found = read(path)
    rows = [flows["flow_id"].index(line["flow_id"]) for line in lines]  # flows are mixed
    wanted = FlowArrays.from_dataset(flows).take(np.array(rows))
    assert report.packets == len(found.payload_length)
    assert [line["label"] for line in lines] == [label or "" for label in wanted.label]
    assert found.protocol.tolist() == wanted.protocol.tolist()
    assert found.source_port.tolist() == [int(line["source_port"]) for line in lines]
    if not complete:
        assert report.packets_added == 0
    own = without_added(found, lines)
    for name in ("offsets", "payload_length", "direction", "tcp_window"):
        assert (getattr(own, name) == getattr(wanted, name)).all(), name
    gaps = wanted.position > 0
    drift = own.inter_arrival_time[gaps].astype(float) - wanted.inter_arrival_time[gaps]
    step = np.spacing(wanted.inter_arrival_time[gaps])  # what the schema's float32 can tell apart
    assert (np.abs(drift) <= np.maximum(1.001e-6, step)).all()


@pytest.mark.parametrize("networks", [{}, IPV6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("suffix", [".pcap", ".pcapng"])
def test_checksums_by_the_book(tmp_path, suffix, networks):
    """Every packet's checksums, added up word by word, at all alignments."""
    lengths = " ".join(f"+{size} -{size + 1}" for size in range(0, 40, 3))
    path = tmp_path / f"x{suffix}"
    write_pcap(table(flow(WEB), flow(lengths), flow(lengths, 17)), path, mss=1_460, **networks)
    seen = 0
    for _, frame in packets_of(path):
        ip = frame[14:]
        version = ip[0] >> 4
        header = 20 if version == 4 else 40
        if version == 4:
            assert word_sum(ip[:20]) == 0xFFFF
        addresses, protocol = (ip[12:20], ip[9]) if version == 4 else (ip[8:40], ip[6])
        segment = ip[header:]
        assert word_sum(addresses + struct.pack(">HH", protocol, len(segment)) + segment) == 0xFFFF
        seen += 1
    assert seen == 11 + 2 * 28 + 6


def word_sum(octets: bytes) -> int:
    total = 0
    for high, low in zip(octets[::2], octets[1::2] + b"\0" * (len(octets) % 2), strict=True):
        total += high << 8 | low
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def test_captures_are_reproducible_and_do_not_depend_on_the_pieces(tmp_path):
    rows = [flow(WEB, flow_id=str(number), inter_arrival_time=[0.0, *[0.4] * 10]) for number in range(3_000)]
    whole = table(*rows)
    write_pcap(whole, tmp_path / "a.pcapng", seed=5)
    write_pcap((whole.select(range(n, n + 500)) for n in range(0, 3_000, 500)), tmp_path / "b.pcapng", seed=5)
    write_pcap(whole, tmp_path / "c.pcapng", seed=6)
    first, again, other = ((tmp_path / f"{name}.pcapng").read_bytes() for name in "abc")
    assert first == again
    assert first != other
    assert len(first) == len(other)


def test_flows_interleave_in_order_of_time_at_the_chosen_rate(tmp_path):
    rows = [flow(WEB, inter_arrival_time=[0.0, *[0.3] * 10]) for _ in range(5_000)]
    write_pcap(table(*rows), tmp_path / "x.pcap", rate=25.0, start_time=1000)
    times = [time for time, _ in packets_of(tmp_path / "x.pcap")]
    assert times == sorted(times)
    starts = np.array([float(line["start_time"]) for line in truth(tmp_path / "x.flows.csv")])
    assert starts[0] > 1000
    gaps = np.diff(starts)
    assert gaps.mean() == pytest.approx(1 / 25, rel=0.1)
    assert gaps.std() == pytest.approx(1 / 25, rel=0.1)  # as an exponential distribution has it
    assert np.diff(read(tmp_path / "x.pcap").offsets).tolist() == [11] * 5_000


def test_marks_say_synthetic_and_which_packets_were_added(tmp_path):
    flows = table(flow("+5 -6"), flow(WEB))
    write_pcap(flows, tmp_path / "x.pcapng", mark=0x1234, view="all")
    assert SYNTHETIC.encode() in (tmp_path / "x.pcapng").read_bytes()
    frames = [frame for _, frame in packets_of(tmp_path / "x.pcapng")]
    marks = [struct.unpack(">H", frame[18:20])[0] for frame in frames]
    assert sorted(marks) == [0x1234] * 13 + [0x1235] * 6
    write_pcap(flows, tmp_path / "y.pcap", mark=0x1234, mss=1_460, **IPV6)
    labels = [struct.unpack(">I", frame[14:18])[0] for _, frame in packets_of(tmp_path / "y.pcap")]
    assert sorted(labels) == [0x6000_1234] * 13 + [0x6000_1235] * 6


def test_report_counts(tmp_path):
    flows = table(
        flow(WEB), flow("+0 +0"), flow("+0 -0"), flow("+2000 -9"), flow("+0 -0 +0 -9 -0 +0 +0"), flow("+5", 17)
    )
    report = write_pcap(flows, tmp_path / "x.pcap")
    assert vars(report) == {
        "flows": 6,
        "tcp_flows": 5,
        "packets": 11 + 2 + 2 + 9 + 7 + 1,
        "handshakes_own": 2,
        "handshakes_added": 1,
        "unanswered": 1,
        "refused": 1,
        "fin_own": 1,
        "reset_own": 1,
        "closings_added": 1,
        "packets_added": 6,
        "acknowledgements_added": 0,
        "payloads_segmented": 1,
        "datagrams_fragmented": 0,
        "lookups": 0,
        "shared_servers": 0,
    }
    assert "6 packets added, 1 payloads segmented" in str(report)


def test_syn_announces_the_segment_size(tmp_path):
    write_pcap(table(flow("+0 -0 +0 +3000")), tmp_path / "x.pcap", mss=1_000)
    tcp = [dpkt.ethernet.Ethernet(frame).data.data for _, frame in packets_of(tmp_path / "x.pcap")]
    assert [dict(dpkt.tcp.parse_opts(part.opts)).get(2) for part in tcp[:2]] == [struct.pack(">H", 1_000)] * 2
    assert [len(part.data) for part in tcp[3:6]] == [1_000] * 3
    assert not any(part.opts for part in tcp[2:])


@pytest.mark.parametrize(("length", "pieces"), [(65_507, [65_507]), (65_535, [65_507, 28])])
def test_datagrams_are_cut_only_where_ip_ends(tmp_path, length, pieces):
    write_pcap(table(flow(f"+{length}", 17)), tmp_path / "x.pcap", mtu=65_535)
    assert read(tmp_path / "x.pcap").payload_length.tolist() == pieces


def test_offload_frames_can_be_kept_whole(tmp_path):
    rows = [flow("+0 -0 +0 -65495", label="ssh"), flow("+0 -0 +0 -65495", label="tls")]
    write_pcap(table(*rows), tmp_path / "x.pcap", mss=65_495, mix=False)
    found = read(tmp_path / "x.pcap")
    assert found.take(np.array([0])).payload_length.tolist()[:4] == [0, 0, 0, 65_495]
    assert found.take(np.array([1])).payload_length.tolist()[3:7] == [16_389] * 3 + [16_328]  # a record at most


def test_payload_kinds(tmp_path):
    rows = table(flow("+0 -0 +0 +500 -300", label="tls"), flow("+400", 17, "dns"), flow("+400", 17, "video"))

    def payloads(**options) -> list[bytes]:
        write_pcap(rows, tmp_path / "x.pcap", complete=False, rate=1e-3, mix=False, **options)
        packets = [dpkt.ethernet.Ethernet(frame).data.data.data for _, frame in packets_of(tmp_path / "x.pcap")]
        return [payload for payload in packets if payload]

    request, answer, query, video = payloads()
    assert request[:5] == bytes([23, 3, 3]) + struct.pack(">H", 495)
    assert answer[:5] == bytes([23, 3, 3]) + struct.pack(">H", 295)
    assert dpkt.dns.DNS(query[:12]).rcode == 0
    assert min(video[1:]) >= 0x80
    assert set(b"".join(payloads(payload="zero"))) == {0}
    assert len(set(b"".join(payloads(payload="random")))) == 256
    assert payloads(payload="random") == payloads(payload="random") != payloads(payload="random", seed=1)
    assert payloads(payload="tls")[2:] != payloads(payload="zero")[2:]  # UDP has no records: noise


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=12))
def test_tls_records_can_be_followed_through_the_stream(sizes):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.pcap"
        write_pcap(table(flow(" ".join(f"+{size}" for size in sizes), label="tls")), path, complete=False)
        stream = b"".join(dpkt.ethernet.Ethernet(frame).data.data.data for _, frame in packets_of(path))
    while len(stream) > 5:
        kind, version, length = struct.unpack(">BHH", stream[:5])
        assert (kind, version) == (23, 0x303)
        assert 0 < length <= len(stream) - 5
        stream = stream[5 + length :]
    assert not stream or sum(sizes) <= 5


def test_per_flow(tmp_path):
    rows = [flow(WEB, label="a/b"), flow("+7 -8", 17, None), flow(WEB, label="..")]
    write_pcap(table(*rows), tmp_path / "out", per_flow=True)
    lines = truth(tmp_path / "out.flows.csv")
    folders = ["a%2Fb", "unlabelled", "%2E%2E"]
    assert [line["capture"] for line in lines] == [f"{name}/{row:08d}" for row, name in enumerate(folders)]
    for row, line in zip(rows, lines, strict=True):
        found = read(tmp_path / "out" / f"{line['capture']}.pcap")
        assert found.payload_length.tolist() == row["payload_length"]
        assert found.direction.tolist() == row["direction"]
    with pytest.raises(InputError, match="new or empty folder"):
        write_pcap(table(*rows), tmp_path / "out", per_flow=True)


@pytest.mark.parametrize("per_flow", [False, True])
def test_labels_come_back_by_the_table_next_to_the_capture(tmp_path, per_flow):
    labels = ["web", None, 'a, "b"/c', "dns"]
    rows = [flow(WEB, label=label) for label in labels[:3]] + [flow("+50 -60", 17, label="dns")]
    path = tmp_path / ("out" if per_flow else "out.pcapng")
    write_pcap(table(*rows), path, per_flow=per_flow, rate=1e-3, mix=False)
    rules = ReadingOptions(labels=LabelRules(table=tmp_path / "out.flows.csv"))
    import_flows([path], tmp_path / "back.parquet", rules)
    found = FlowArrays.from_dataset(load_flows(tmp_path / "back.parquet"))
    if per_flow:  # files come in the order of their folders' names
        assert found.label.tolist() == ['a, "b"/c', "dns", None, "web"]
    else:
        assert found.label.tolist() == labels


def test_nothing_is_left_of_a_failure(tmp_path):
    def broken():
        yield table(flow(WEB))
        raise RuntimeError("the source broke off")

    for options in ({}, {"per_flow": True}):
        with pytest.raises(RuntimeError, match="broke off"):
            write_pcap(broken(), tmp_path / "x.pcap", **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": 0}, "rate"),
        ({"rate": float("nan")}, "rate"),
        ({"start_time": -1}, "start_time"),
        ({"payload": "lorem"}, "auto, random, tls, zero"),
        ({"mark": 65_535}, "mark"),
        ({"mss": 0}, "mss"),
        ({"seed": -1}, "seed"),
        ({"clients": "1.1.1.0/24"}, "private or documentation"),
    ],
)
def test_options_out_of_range(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        write_pcap(table(flow(WEB)), tmp_path / "x.pcap", **options)


def test_bad_input(tmp_path):
    with pytest.raises(InputError, match="no such capture format"):
        write_pcap(table(flow(WEB)), tmp_path / "x.txt")
    with pytest.raises(InputError, match="no flows"):
        write_pcap(iter([]), tmp_path / "x.pcap")
    with pytest.raises(InputError, match="protocol 1"):
        write_pcap(table(flow(WEB, 1)), tmp_path / "x.pcap")
    with pytest.raises(InputError, match=r"flow 1 ends beyond the year 2106.*1e\+12 seconds"):
        write_pcap(table(*[flow("+1 +1", inter_arrival_time=[0, gap]) for gap in (1, 1e12)]), tmp_path / "x.pcap")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("packed", [False, True])
def test_labels_travel_in_pcapng(tmp_path, packed):
    """A capture that was moved, renamed or packed has its labels in itself."""
    labels = ["web", None, 'a, "b"/c', "日本"]
    write_pcap(table(*(flow(WEB, label=label) for label in labels)), tmp_path / "x.pcapng", rate=0.1)
    data = (tmp_path / "x.pcapng").read_bytes()
    moved = tmp_path / "elsewhere" / ("y.pcapng.gz" if packed else "y")
    moved.parent.mkdir()
    moved.write_bytes(gzip.compress(data) if packed else data)
    assert sorted(map(str, read_pcap(moved)["label"])) == sorted(map(str, labels))
    assert set(read_pcap(moved, label="mine")["label"]) == {"mine"}


@pytest.mark.parametrize("networks", [{}, IPV6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("suffix", [".pcap", ".pcapng"])
def test_no_frame_is_longer_than_the_mtu_allows(tmp_path, suffix, networks):
    rows = [flow("+40 -1480 -4000 -48", 17, "dns"), flow("+1200 -12000", 17, "quic"), flow("+0 -0 +0 -9000")]
    path = tmp_path / f"x{suffix}"
    report = write_pcap(table(*rows), path, **networks)
    frames = [frame for _, frame in packets_of(path)]
    assert max(map(len, frames)) <= 1_514
    assert len(frames) == report.packets
    assert report.datagrams_fragmented == 3
    assert "3 datagrams above the MTU fragmented" in str(report)
    found = {part["label"]: part for part in import_all(path, tmp_path)}
    assert sum(found["dns"]["payload_length"]) == 40 + 1480 + 4000 + 48
    assert sum(found["quic"]["payload_length"]) == 13_200
    assert sum(int(line["packets"]) for line in truth(tmp_path / "x.flows.csv")) == report.packets


def import_all(path, tmp_path):
    import_flows([path], tmp_path / "back.parquet")
    return load_flows(tmp_path / "back.parquet").to_list()


def test_classes_are_mixed_unless_the_order_is_kept(tmp_path):
    rows = [flow(WEB, label=label) for label in ("a", "b", "c") for _ in range(100)]
    write_pcap(table(*rows), tmp_path / "x.pcap")
    labels = [line["label"] for line in truth(tmp_path / "x.flows.csv")]
    changes = sum(one != other for one, other in itertools.pairwise(labels))
    assert changes > 150
    write_pcap(table(*rows), tmp_path / "y.pcap", mix=False)
    assert [line["label"] for line in truth(tmp_path / "y.flows.csv")] == sorted(labels)


def test_rates_of_classes(tmp_path):
    rows = [flow(WEB, label=label) for label in ("a", "b", "c") for _ in range(400)]
    write_pcap(table(*rows), tmp_path / "x.pcap", rate=10, class_rates={"a": 100.0})
    lines = truth(tmp_path / "x.flows.csv")
    times = {name: [float(line["start_time"]) for line in lines if line["label"] == name] for name in "abc"}
    assert np.diff(times["a"]).mean() == pytest.approx(0.01, rel=0.2)
    assert np.diff(sorted(times["b"] + times["c"])).mean() == pytest.approx(0.1, rel=0.2)
    with pytest.raises(InputError, match="no flows of this class"):
        write_pcap(table(*rows), tmp_path / "x.pcap", class_rates={"d": 1.0})


def test_the_view_is_recognised(tmp_path):
    """Without empty packets, acknowledgements are added; not where the flows say that they hold every packet."""
    flows = table(flow("+100 -1400 -1400 -1400"))
    assert write_pcap(flows, tmp_path / "x.pcap").acknowledgements_added > 0
    assert write_pcap(flows, tmp_path / "x.pcap", view="all").acknowledgements_added == 0
    assert write_pcap(table(flow("+100 -1400 +0")), tmp_path / "x.pcap").acknowledgements_added == 0
    with pytest.raises(InputError, match="packet view"):
        write_pcap(flows, tmp_path / "x.pcap", view="some")
