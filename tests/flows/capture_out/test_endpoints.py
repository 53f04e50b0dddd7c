import numpy as np
import pytest
from written_flows import flow, table

from hf_ntg import InputError
from hf_ntg.flows import FlowArrays
from hf_ntg.flows.capture_out.endpoints import client_ports, service_ports, speaks_tls, transport_protocols
from hf_ntg.flows.schema import TCP, UDP
from hf_ntg.flows.view import in_view


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


def test_no_client_has_a_port_that_parsers_take_for_a_service():
    ports = client_ports(np.random.default_rng(0), 200_000)
    assert ports.min() >= 49_152
    assert ports.max() <= 65_535
    assert not {49_999, 54_328, 57_000, 57_001, 60_001} & set(ports.tolist())
