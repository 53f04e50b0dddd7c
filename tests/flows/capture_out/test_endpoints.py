import ipaddress

import numpy as np
import pytest
from written_flows import flow, table

from hf_ntg import InputError
from hf_ntg.flows import FlowArrays
from hf_ntg.flows.capture_out.endpoints import AddressPool, service_ports, speaks_tls, transport_protocols
from hf_ntg.flows.schema import TCP, UDP
from hf_ntg.flows.view import in_view


@pytest.mark.parametrize(
    ("clients", "servers", "count"),
    [
        ("192.0.2.0/29", "198.51.100.0/29", 36),
        ("192.168.0.0/16", "10.1.2.0/30", 5_000),
        ("10.0.0.0/8", "203.0.113.0/24", 5_000),
        ("2001:db8:1::/48", "fd00::/64", 5_000),
    ],
)
def test_every_flow_has_a_pair_of_its_own_within_the_networks(clients, servers, count):
    pool = AddressPool.parse(clients, servers, seed=3)
    pairs = np.concatenate(pool.pairs(0, count), axis=1)
    assert len(np.unique(pairs, axis=0)) == count
    for addresses, network in zip(pool.pairs(0, count), (clients, servers), strict=True):
        hosts = ipaddress.ip_network(network)
        found = {ipaddress.ip_address(address.tobytes()) for address in addresses[:300]}
        assert all(host in hosts and host not in (hosts[0], hosts[-1]) for host in found)
    later = np.concatenate(pool.pairs(7, count - 7), axis=1)
    assert (later == pairs[7:]).all()  # the place in the file decides, not the batch


def test_networks_that_run_out():
    with pytest.raises(InputError, match="36 pairs"):
        AddressPool.parse("192.0.2.0/29", "198.51.100.0/29", 0).pairs(30, 7)


@pytest.mark.parametrize(
    ("clients", "servers", "message"),
    [
        ("8.8.8.0/24", "10.0.0.0/8", "public"),
        ("10.0.0.0/33", "10.0.0.0/8", "10.0.0.0/33"),
        ("10.0.0.0/31", "192.168.0.0/16", "too small"),
        ("10.0.0.0/8", "2001:db8::/32", "both"),
        ("10.0.0.0/8", "10.1.0.0/16", "overlap"),
    ],
)
def test_networks_refused(clients, servers, message):
    with pytest.raises(InputError, match=message):
        AddressPool.parse(clients, servers, 0)


def test_protocol_is_guessed_where_it_is_missing():
    rows = [flow("+5 -0"), flow("+5 -7"), flow("+5 -7", label="my-TLS"), flow("+5 -7", label="quic"), flow("+5", UDP)]
    rows = [{**row, "protocol": None} for row in rows[:4]] + rows[4:]
    assert transport_protocols(FlowArrays.from_dataset(table(*rows))).tolist() == [TCP, UDP, TCP, UDP, UDP]
    windows = FlowArrays.from_dataset(table({**flow("+5 -7", None), "tcp_window": [0, 9]}))
    assert transport_protocols(windows).tolist() == [TCP]


def test_other_protocols_are_refused():
    with pytest.raises(InputError, match="flow ping: protocol 1"):
        transport_protocols(FlowArrays.from_dataset(table(flow("+5", 1, flow_id="ping"))))


def test_ports():
    rows = [
        flow("+5", label="dns", source_port=None, destination_port=None),
        flow("+5", label="ssh to db", source_port=40_000, destination_port=2_222),
        flow("+5", label=None, source_port=68, destination_port=None),
    ]
    client, server = service_ports(FlowArrays.from_dataset(table(*rows)), np.random.default_rng(0))
    assert server.tolist() == [53, 2_222, 443]
    assert client[1] == 40_000
    assert (client[[0, 2]] >= 49_152).all()


def test_tls_by_label_or_port():
    rows = [flow("+5", label="https"), flow("+5", label="video"), flow("+5", label="video"), flow("+5", label="ssh")]
    speaks = speaks_tls(FlowArrays.from_dataset(table(*rows)), np.array([1, 443, 80, 443]))
    assert speaks.tolist() == [True, True, False, False]


def test_a_flow_of_payload_packets_alone_is_tcp_unless_its_label_names_a_udp_service():
    bare = table(flow("+5 -6", None, label="an app"), flow("+5 -6", None, label="dns"))
    flows = FlowArrays.from_dataset(bare)
    assert transport_protocols(flows).tolist() == [UDP, UDP]
    assert transport_protocols(in_view(flows, "payload")[0]).tolist() == [TCP, UDP]
