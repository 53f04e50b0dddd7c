import ipaddress
import subprocess

import dpkt
import numpy as np
import pytest
from datasets import Dataset
from written_flows import IPV6, flow, table, truth

from hf_ntg import InputError
from hf_ntg.flows import FlowArrays, load_flows, write_pcap
from hf_ntg.flows.capture_out.lookups import LONGEST_LEAD, LOOKUP_LABEL, TIME_TO_LIVE, domain_name
from hf_ntg.flows.importing import import_flows

WEB = "+0 -0 +0 +517 -1448 +0"
FLOWS = [flow(WEB, label=label) for label in ("Web", "web", "=é|日本", None, "x" * 300) for _ in range(12)]
DIALOGUES = [
    *FLOWS,
    flow("+40 -80", 17, "dns", destination_port=53),
    flow("+300 -300", 17, "lease", destination_port=67),
]
SMALL = {"clients": "10.0.0.0/29", "servers": "203.0.113.0/24"}


def messages(path):
    """The DNS messages of a capture: time, client, resolver, client's port, message."""
    found = []
    with path.open("rb") as capture:
        for time, frame in (dpkt.pcap if path.suffix == ".pcap" else dpkt.pcapng).Reader(capture):
            ip = dpkt.ethernet.Ethernet(frame).data
            ends = [str(ipaddress.ip_address(address)) for address in (ip.src, ip.dst)]
            if isinstance(ip.data, dpkt.udp.UDP) and 53 in (ip.data.sport, ip.data.dport):
                is_question = ip.data.dport == 53
                port = ip.data.sport if is_question else ip.data.dport
                found.append((float(time), *ends[:: 1 if is_question else -1], port, dpkt.dns.DNS(ip.data.data)))
    return found


@pytest.mark.parametrize(("networks", "kind"), [(SMALL, dpkt.dns.DNS_A), (IPV6, dpkt.dns.DNS_AAAA)], ids=["A", "AAAA"])
@pytest.mark.parametrize("suffix", ["pcap", "pcapng"])
def test_clients_ask_before_flows_and_remember(tmp_path, suffix, networks, kind):
    path = tmp_path / f"x.{suffix}"
    flows = table(*FLOWS)
    report = write_pcap(flows, path, dns=True, rate=5.0, **networks)
    lines = truth(tmp_path / "x.flows.csv")
    ours = [line for line in lines if line["label"] != LOOKUP_LABEL]
    exchanges = messages(path)
    assert report.flows == len(ours) == len(flows)
    assert report.lookups == len(lines) - len(ours) == len(exchanges) / 2
    answers = {}  # by client and server: when each answer came
    names = {}
    waiting = {}  # questions without an answer yet
    for later, client, resolver, port, answer in exchanges:
        if not answer.qr:
            waiting[client, resolver, port] = later, answer
            continue
        time, question = waiting.pop((client, resolver, port))
        assert question.id == answer.id
        assert (question.qr, question.rd, answer.qr, answer.ra, answer.rcode) == (0, 1, 1, 1, 0)
        assert question.qd[0].name == answer.qd[0].name == answer.an[0].name
        assert question.qd[0].type == answer.an[0].type == kind
        assert answer.an[0].ttl == TIME_TO_LIVE
        assert time < later
        address = answer.an[0].ip if kind == dpkt.dns.DNS_A else answer.an[0].ip6
        server = str(ipaddress.ip_address(address))
        assert question.qd[0].name.endswith(".example")
        assert names.setdefault(question.qd[0].name, server) == server
        answers.setdefault((client, server), []).append((time, later))
        assert ipaddress.ip_address(resolver) in ipaddress.ip_network(networks["clients"])
        assert resolver not in {line["source"] for line in ours}
    assert not waiting
    starts = {}
    for line in ours:
        starts.setdefault((line["source"], line["destination"]), []).append(float(line["start_time"]))
    assert starts.keys() == answers.keys()
    for pair, ((asked, came),) in answers.items():  # all flows are within one time to live
        assert came <= min(starts[pair]) + 1e-6
        assert min(starts[pair]) - asked <= LONGEST_LEAD / 1e9


def test_answers_are_asked_for_again_after_their_time_to_live(tmp_path):
    path = tmp_path / "x.pcap"
    networks = {"clients": "10.0.0.0/31", "servers": "203.0.113.1/32"}
    report = write_pcap(table(*[flow(WEB)] * 60), path, dns=True, rate=0.05, **networks)
    times = [time for time, *_ in messages(path)[::2]]
    assert 2 <= report.lookups == len(times) < 60
    assert min(np.diff(times)) >= TIME_TO_LIVE
    assert len({port for _, _, _, port, _ in messages(path)}) == len(times)


def test_no_look_up_before_what_has_no_name(tmp_path):
    rows = [flow("+40 -80", 17, "lease", destination_port=port) for port in (53, 67, 137, 1900, 5353)]
    report = write_pcap(table(*rows), tmp_path / "x.pcap", dns=True)
    assert report.lookups == 0
    assert "look-up" not in str(report)


@pytest.mark.parametrize("suffix", ["pcap", "pcapng"])
def test_flows_come_back_exactly_and_look_ups_are_a_class_of_their_own(tmp_path, suffix):
    path, flows = tmp_path / f"x.{suffix}", table(*DIALOGUES)
    report = write_pcap(flows, path, dns=True, view="all", complete=False)
    if suffix == "pcapng":  # the labels are in the file itself
        path = path.rename(tmp_path / "moved.pcapng")
    found = import_flows([path], tmp_path / "found.parquet")
    assert found.classes[LOOKUP_LABEL] == report.lookups > 0
    read = load_flows(tmp_path / "found.parquet")
    lines = truth(tmp_path / "x.flows.csv")
    assert len(read) == len(lines) == len(flows) + report.lookups
    own = read.filter(lambda label: label != LOOKUP_LABEL, input_columns="label")
    wanted = FlowArrays.from_dataset(flows).take(
        np.array([int(line["flow_id"]) for line in lines if line["label"] != LOOKUP_LABEL])
    )
    back = FlowArrays.from_dataset(own)
    for name in ("offsets", "payload_length", "direction", "label", "protocol"):
        assert getattr(back, name).tolist() == getattr(wanted, name).tolist(), name
    assert np.allclose(back.inter_arrival_time[back.position > 0], 0.001, atol=1e-6)


def test_without_look_ups_nothing_changes(tmp_path):
    first, second = (tmp_path / name for name in ("a.pcap", "b.pcap"))
    write_pcap(table(*FLOWS), first, seed=4, rate=10, dns=True, **IPV6)
    write_pcap(table(*FLOWS), second, seed=4, rate=10, **IPV6)
    ours = [line for line in truth(tmp_path / "a.flows.csv") if line["label"] != LOOKUP_LABEL]
    assert [{**line, "capture": ""} for line in ours] == [
        {**line, "capture": ""} for line in truth(tmp_path / "b.flows.csv")
    ]


def test_capture_begins_in_1970(tmp_path):
    write_pcap(table(*FLOWS), tmp_path / "x.pcap", dns=True, rate=1e6, start_time=0)
    times = [time for time, *_ in messages(tmp_path / "x.pcap")]
    assert times == sorted(times)
    assert times[0] == 0


def test_names():
    names: dict[str, str | None] = {}
    assert domain_name("Web Browsing", 1, names) == "n1.web-browsing.example"
    assert domain_name("Web Browsing", 2, names) == "n2.web-browsing.example"
    assert domain_name("Café", 1, names) == "n1.cafe.example"
    assert domain_name(None, 1, names) == "n1.unlabelled.example"
    others = ["web_browsing", "unlabelled", "日本", "🎉", "", "x" * 300, "x" * 301, "../..", "a." * 40]
    found = [domain_name(label, 1, names) for label in others]
    assert len({*found}) == len(others)
    assert all(len(part) <= 63 and part.strip("-") == part for name in found for part in name.split("."))
    assert all(name.isascii() and name.count(".") == 2 for name in found)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"per_flow": True}, "one capture per flow"),
        ({"clients": "10.0.0.1/32"}, "resolver"),
    ],
)
def test_refusals(tmp_path, options, said):
    with pytest.raises(InputError, match=said):
        write_pcap(table(flow(WEB)), tmp_path / "x.pcap", dns=True, **options)


@pytest.mark.interop
@pytest.mark.parametrize("networks", [{}, IPV6], ids=["IPv4", "IPv6"])
def test_tshark_reads_the_look_ups(tmp_path, networks):
    path = tmp_path / "x.pcapng"
    report = write_pcap(Dataset.from_list(DIALOGUES), path, dns=True, **networks)
    command = ["tshark", "-n", "-r", str(path), "-oudp.check_checksum:TRUE"]
    try:
        found = subprocess.run(
            [*command, "-Y", "dns.qry.name", "-T", "fields", "-e", "dns.qry.name", "-e", "dns.flags.response"],
            check=True, capture_output=True, text=True,
        ).stdout.splitlines()  # fmt: skip
    except FileNotFoundError:
        pytest.skip("tshark is not installed (Debian: apt-get install tshark)")
    assert len(found) == 2 * report.lookups
    assert all(".example\t" in line for line in found)
    signs = ("_ws.malformed", "_ws.expert.severity >= 0x600000", "udp.checksum.status != Good", "dns.retransmission")
    bad = f"dns && ({' || '.join(signs)})"
    assert subprocess.run([*command, "-Y", bad], check=True, capture_output=True, text=True).stdout == ""
