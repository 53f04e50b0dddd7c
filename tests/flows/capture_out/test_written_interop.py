"""Other people's parsers on written captures: tshark, Suricata (Debian packages), nfstream (Python index)."""

import json
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset
from written_flows import IPV6, truth

from hf_ntg.flows import FlowArrays, load_flows, write_pcap
from hf_ntg.flows.capture_in.pcap import read_pcap

pytestmark = pytest.mark.interop

SHARED = Path(__file__).parents[4] / "shared" / "data"
REAL = ("iot_sentinel", "tls_sni_services")
DICTATED = {
    "TCP Zero Window segment",  # the flow has a window of 0
    "TCP window specified by the receiver is now completely full",  # a payload fills the flow's window to the byte
    "Connection reset (RST)",  # the flow ends in two empty packets of one side, or is +0 -0 alone
}
"""Expert items above "note" that come from the flows themselves."""
MALFORMED = "Malformed Packet (Exception occurred)"
SPLINTER = "tcp.port == 389 && tcp.len < 7"
"""Packets that no payload makes well-formed: a flow's segment that holds a part of the header of an LDAP message."""
CHECKSUMS = [f"-o{protocol}.check_checksum:TRUE" for protocol in ("ip", "tcp", "udp")]
SURICATA = """%YAML 1.1
---
outputs:
  - eve-log:
      enabled: yes
      types: [alert, flow, stats: {totals: yes, threads: no}]
stats: {enabled: yes, interval: 3600}
stream: {memcap: 1gb, checksum-validation: yes, midstream: false, reassembly: {memcap: 1gb, depth: 0}}
flow: {memcap: 1gb}
flow-timeouts:
  default: {new: 1000000, established: 1000000, closed: 1000000}
  tcp: {new: 1000000, established: 1000000, closed: 1000000}
  udp: {new: 1000000, established: 1000000}
"""
"""Strict about TCP, patient with silence, and not interested in what the noise in the payload may look like."""
TRANSPORT = ("Frame", "Ethernet", "IPv4", "IPv6", "TCP", "UDP")
SURICATA_RULES = Path("/etc/suricata/rules")
PORTS = {6: {0: 1, 80: 1, 443: 6, 8080: 1, 8443: 6, 1883: 2}, 17: {53: 12, 67: 241, 123: 48, 5683: 6, 443: 1, 5353: 12}}
"""Ports of services, with the bytes that their shortest message has: a flow with less makes any parser complain."""


def made_flows(count: int = 1_500, seed: int = 0) -> Dataset:
    """Random flows of all kinds, on the ports that parsers look at."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        size = int(rng.integers(1, 20))
        is_tcp = bool(rng.random() < 0.7)
        port, shortest = list(PORTS[6 if is_tcp else 17].items())[rng.integers(6)]
        length = np.where(rng.random(size) < (0.5 if is_tcp else 0), 0, rng.integers(shortest, 1_440, size))
        direction = np.where(rng.random(size) < 0.5, 1, -1)
        direction[0] = 1
        if is_tcp and size > 3 and rng.random() < 0.6:
            length[:3], direction[:3] = 0, [1, -1, 1]
        window = rng.integers(1, 65_536, size) * is_tcp
        window[: np.argmax(length > 0)] = 64_240 * is_tcp  # a SYN's is not scaled: all that is sent behind it must fit
        rows.append(
            {
                "flow_id": str(number),
                "label": ["web", "video", None][number % 3],
                "protocol": 6 if is_tcp else 17,
                "destination_port": port,
                "payload_length": length.tolist(),
                "direction": direction.tolist(),
                "inter_arrival_time": [0.0, *rng.exponential(0.2, size - 1).tolist()],
                "tcp_window": window.tolist(),
            }
        )
    return Dataset.from_list(rows)


def generated_flows(folder: Path) -> Dataset:
    """Flows of a model that has seen the bundled ones for a few steps: legal, and none too like a conversation."""
    from hf_ntg import FlowGenerator, TrainingConfig, train

    settings = {"epochs": 3, "max_packets": 12, "validation_share": 0, "checkpoint_every": 0}
    train(load_flows("loopback").shuffle(seed=0).select(range(800)), TrainingConfig(output_dir=str(folder), **settings))
    return FlowGenerator.from_pretrained(folder).generate(1_500, seed=0)


@pytest.fixture(scope="module", params=["made", "generated", "loopback", *REAL])
def flows(request, tmp_path_factory) -> Dataset:
    if request.param == "made":
        return made_flows()
    if request.param == "generated":
        return generated_flows(tmp_path_factory.mktemp("model"))
    if request.param == "loopback":
        return load_flows("loopback")
    path = SHARED / f"{request.param}.parquet"
    if not path.exists():
        pytest.skip(f"{path.name} is not here")
    return load_flows(path)


def tshark(capture: Path, *arguments: str) -> list[str]:
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed (Debian: apt-get install tshark)")
    command = ["tshark", "-n", "-r", str(capture), *CHECKSUMS, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, errors="replace").stdout.splitlines()


@pytest.mark.parametrize("networks", [{}, IPV6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize(("suffix", "complete"), [(".pcap", True), (".pcapng", False)])
def test_tshark_finds_nothing_wrong(request, flows, tmp_path, networks, suffix, complete):
    """Malformed packets and bad checksums are among the expert items, as errors. A model of a few steps sends to the
    ports of services what is too short for any message of theirs: there, only headers count."""
    path = tmp_path / f"x{suffix}"
    report = write_pcap(flows, path, complete=complete, **networks)
    items = [re.match(r" +\d+ +(\w+) +(\S+)  (.+)", line) for line in tshark(path, "-q", "-z", "expert,warn")]
    found = {item[3].strip() for item in items if item}
    if request.node.callspec.params["flows"] != "generated":
        assert found - {MALFORMED} <= DICTATED
        assert tshark(path, "-Y", f"_ws.malformed && !({SPLINTER})") == []
    assert {item[3].strip() for item in items if item and item[2] in TRANSPORT} <= DICTATED
    assert found
    sound = "tcp.checksum.status == Good || udp.checksum.status == Good"
    waiting = "ip.flags.mf == 1 || ipv6.fraghdr.more == 1"  # the last fragment has the verdict on its datagram
    good = tshark(path, "-Y", f"{sound} || {waiting}", "-T", "fields", "-e", "ip.id")
    assert len(good) == report.packets


def test_tshark_sees_the_mark(tmp_path):
    path = tmp_path / "x.pcapng"
    write_pcap(made_flows(20), path)
    assert set(tshark(path, "-T", "fields", "-e", "ip.id")) == {"0x4e54", "0x4e55"}
    if shutil.which("capinfos"):
        output = subprocess.run(["capinfos", "-k", str(path)], check=True, capture_output=True, text=True).stdout
        assert "Synthetic traffic" in output


@pytest.mark.parametrize("networks", [{}, IPV6], ids=["IPv4", "IPv6"])
def test_nfstream_finds_the_flows_that_were_written(flows, tmp_path, networks):
    nfstream = pytest.importorskip("nfstream", reason="nfstream is not installed (pip install nfstream)")
    path, shown = tmp_path / "x.pcap", 40
    write_pcap(flows, path, seed=1, mtu=9_000, mss=1_440, **networks)  # nfstream does not put fragments together
    lines = truth(tmp_path / "x.flows.csv")
    ours = FlowArrays.from_dataset(read_pcap(path, idle_timeout=1e6))
    # accounting_mode 3 counts transport payload; the time-outs keep long flows whole, as the reader above does; looking
    # for tunnels, nfstream 6.6 finds some in plain datagrams over IPv6
    streamer = nfstream.NFStreamer(
        str(path),
        n_meters=1,
        n_dissections=0,
        decode_tunnels=False,
        splt_analysis=shown,
        accounting_mode=3,
        idle_timeout=10**6,
        active_timeout=10**6,
    )
    theirs = {(flow.src_ip, flow.src_port, flow.dst_ip, flow.dst_port, flow.protocol): flow for flow in streamer}
    assert len(theirs) == len(lines) == len(ours)
    for row, line in enumerate(lines):
        ends = [line["source"], int(line["source_port"])]
        ends += [line["destination"], int(line["destination_port"])]
        turned = [*ends[2:], *ends[:2]]  # datagrams do not tell who began where the flow's first is the server's
        flow = theirs.get((*ends, int(line["protocol"]))) or theirs[*turned, int(line["protocol"])]
        held = slice(*ours.offsets[row : row + 2])
        assert flow.bidirectional_packets == int(line["packets"])
        size = min(int(line["packets"]), shown)
        assert flow.splt_ps[:size] == ours.payload_length[held].tolist()[:size]
        assert flow.splt_direction[:size] == (ours.direction[held] < 0).astype(int).tolist()[:size]
        gaps = ours.inter_arrival_time[held][:size].astype(float) * 1_000
        assert np.abs(gaps - flow.splt_piat_ms[:size]).max() <= 1.001  # nfstream cuts times to milliseconds first


@pytest.mark.parametrize("networks", [{}, IPV6], ids=["IPv4", "IPv6"])
def test_suricata_follows_every_connection(flows, tmp_path, networks):
    """No event of its decoder and its stream engine, which drops what is outside of windows or sequence; the flows that
    were written; and every connection closed, but for those that nobody answered."""
    if shutil.which("suricata") is None:
        pytest.skip("Suricata is not installed (Debian: apt-get install suricata)")
    path = tmp_path / "x.pcapng"
    report = write_pcap(flows, path, rate=200.0, **networks)
    (tmp_path / "suricata.yaml").write_text(SURICATA)
    rules = "".join((SURICATA_RULES / f"{name}-events.rules").read_text() for name in ("decoder", "stream"))
    (tmp_path / "events.rules").write_text(rules)
    command = ["suricata", "-r", path, "-l", tmp_path, "-c", tmp_path / "suricata.yaml", "-k", "all"]
    subprocess.run([*command, "-S", tmp_path / "events.rules", "--runmode", "single"], check=True, capture_output=True)
    events = [json.loads(line) for line in (tmp_path / "eve.json").read_text().splitlines()]
    alerts = Counter(event["alert"]["signature"] for event in events if event["event_type"] == "alert")
    assert alerts == {}
    found = [event for event in events if event["event_type"] == "flow"]
    assert len(found) == report.flows
    states = Counter(event["tcp"]["state"] for event in found if event["proto"] == "TCP")
    assert states == Counter(closed=report.tcp_flows - report.unanswered, syn_sent=report.unanswered)
    (counters,) = (event["stats"] for event in events if event["event_type"] == "stats")
    assert counters["decoder"]["pkts"] == report.packets
    assert counters["decoder"]["invalid"] == 0
