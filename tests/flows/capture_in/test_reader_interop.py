"""nfstream (nDPI's parser) and we find the same flows in real captures."""

import ipaddress
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from hf_ntg.flows.capture_in.pcap import CaptureReader

pytestmark = pytest.mark.interop

CAPTURES = sorted((Path(__file__).parents[4] / "shared" / "data" / "pcap").glob("*.pcap*"))
PACKETS = 20


def our_flows(path):
    """By unordered endpoints: (source endpoint, lengths, directions, packets) of every flow."""
    found = defaultdict(list)
    for batch in CaptureReader(path):
        flows = batch.flows
        for row in range(len(batch)):
            part = slice(flows.offsets[row], min(flows.offsets[row + 1], flows.offsets[row] + PACKETS))
            source = str(ipaddress.ip_address(batch.source[row])), int(flows.source_port[row])
            destination = str(ipaddress.ip_address(batch.destination[row])), int(flows.destination_port[row])
            facts = flows.payload_length[part].tolist(), flows.direction[part].tolist(), int(flows.packet_count[row])
            found[int(flows.protocol[row]), frozenset((source, destination))].append((source, *facts))
    return found


def their_flows(path):
    from nfstream import NFStreamer

    found = defaultdict(list)
    # Accounting mode 3 counts transport payload; tunnels are closed to us too, and dissection is not needed.
    streamer = NFStreamer(
        str(path),
        idle_timeout=120,
        active_timeout=10**6,
        accounting_mode=3,
        splt_analysis=PACKETS,
        decode_tunnels=False,
        n_meters=1,
        n_dissections=0,
    )
    for flow in sorted(streamer, key=lambda flow: flow.bidirectional_first_seen_ms):
        if flow.protocol in (6, 17):
            kept = min(PACKETS, flow.bidirectional_packets)
            source, destination = (flow.src_ip, flow.src_port), (flow.dst_ip, flow.dst_port)
            directions = np.where(np.array(flow.splt_direction[:kept]) == 0, 1, -1).tolist()
            facts = list(flow.splt_ps[:kept]), directions, flow.bidirectional_packets
            found[flow.protocol, frozenset((source, destination))].append((source, *facts))
    return found


def turned(flow):
    """The flow as its other side sees it."""
    _, lengths, directions, packets = flow
    return lengths, [-one for one in directions], packets


@pytest.mark.skipif(not CAPTURES, reason="no captures of other people's here")
@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_the_same_flows(path):
    """The one difference by rule: where the first packet is a SYN-ACK, ours begins with the side that it answers."""
    pytest.importorskip("nfstream")
    ours, theirs = our_flows(path), their_flows(path)
    assert ours.keys() == theirs.keys()
    for ends, flows in ours.items():
        assert len(flows) == len(theirs[ends])
        for our, their in zip(flows, theirs[ends], strict=True):
            began_with_an_answer = our[0] != their[0] and our[2][0] == -1
            assert our == their or (began_with_an_answer and turned(our) == their[1:])
