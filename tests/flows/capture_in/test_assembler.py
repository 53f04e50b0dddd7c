"""The rules by which packets become flows."""

import made_captures as make
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_captures import ACK, CLIENT, FIN, RST, SERVER, SYN

from hf_ntg.flows.capture_in import packet_block, time_order
from hf_ntg.flows.capture_in.pcap import CaptureReader, read_pcap


def packet(time, flags, seq=0, ack=0, size=0, back=False, ports=(4000, 443)):
    source, destination = (SERVER, CLIENT) if back else (CLIENT, SERVER)
    source_port, destination_port = ports[::-1] if back else ports
    segment = make.tcp(source_port, destination_port, flags, bytes(size), seq, ack)
    return time, make.ipv4(source, destination, 6, segment)


def datagram(time, size, back=False):
    ends = (SERVER, CLIENT) if back else (CLIENT, SERVER)
    ports = (53, 4000) if back else (4000, 53)
    return time, make.ipv4(*ends, 17, make.udp(*ports, bytes(size)))


@pytest.fixture
def flows_of(tmp_path):
    def read(packets, **options):
        path = tmp_path / "made.pcap"
        path.write_bytes(make.pcap(packets, link=make.RAW_IP))
        return read_pcap(path, **options)

    return read


def sizes(flows):
    return [len(lengths) for lengths in flows["payload_length"]]


def test_both_directions_are_one_flow(flows_of):
    flows = flows_of([datagram(0, 30), datagram(1, 90, back=True), datagram(2, 30)])
    assert flows["direction"] == [[1, -1, 1]]
    assert flows["source_port"] == [4000]


def test_silence_longer_than_the_time_out_ends_a_flow(flows_of):
    packets = [datagram(time, 10) for time in (0, 119, 239, 360)]
    assert sizes(flows_of(packets)) == [3, 1]
    assert sizes(flows_of(packets, idle_timeout=121)) == [4]
    assert sizes(flows_of(packets, idle_timeout=1)) == [1, 1, 1, 1]


def test_a_new_syn_after_the_close_is_a_new_flow_and_late_acks_are_not(flows_of):
    first = make.conversation([10, -20], isn=(100, 900))
    late = packet(0.5, ACK, 112, 922)
    again = make.conversation([30], start=1, isn=(5000, 6000), ports=(40000, 443))
    late_of_first = (0.5, make.ipv4(CLIENT, SERVER, 6, make.tcp(40000, 443, ACK, b"", 112, 922)))
    assert sizes(flows_of([*first, late_of_first, *again])) == [9, 7]
    assert sizes(flows_of([*first, late])) == [8, 1]  # other ports: another flow


def test_a_syn_with_another_first_number_is_port_reuse_even_without_a_close(flows_of):
    first = make.conversation([10], close=False, isn=(100, 900))
    again = make.conversation([10], close=False, start=1, isn=(7777, 8888))
    assert sizes(flows_of([*first, *again])) == [4, 4]


def test_a_syn_sent_again_stays(flows_of):
    flows = flows_of(
        [packet(0, SYN, 5), packet(1, SYN, 5), packet(2, SYN | ACK, 9, 6, back=True), packet(3, ACK, 6, 10)]
    )
    assert flows["direction"] == [[1, 1, -1, 1]]


def test_a_syn_repeated_after_a_reset_is_the_same_connection(flows_of):
    """Windows tries a refused connection again with the same number; another number is another connection."""
    refused = packet(0, SYN, 5), packet(0.1, RST | ACK, 0, 6, back=True)
    assert sizes(flows_of([*refused, packet(0.5, SYN, 5), packet(0.6, RST | ACK, 0, 6, back=True)])) == [4]
    assert sizes(flows_of([*refused, packet(0.5, SYN, 77), packet(0.6, RST | ACK, 0, 78, back=True)])) == [2, 2]


@pytest.mark.parametrize("place", range(8))
def test_a_syn_belongs_to_its_connection_wherever_it_was_captured(flows_of, place):
    """A clock that differs between two taps puts the SYN anywhere, even behind the last ACK."""
    syn, *others = make.conversation([10, -20], isn=(100, 900))
    late = (others[place - 1][0] + 0.001 if place else 0.0, syn[1])
    flows = flows_of([*others, late])
    assert sizes(flows) == [8]
    assert flows["source_port"] == [40_000]
    assert flows["direction"][0][place] == 1


def test_the_initiator_sent_the_syn_even_where_the_capture_has_the_answer_first(flows_of):
    answer, question = packet(0, SYN | ACK, 9, 6, back=True), packet(0.001, SYN, 5)
    flows = flows_of([answer, question, packet(0.1, ACK, 6, 10)])
    assert flows["direction"] == [[-1, 1, 1]]
    assert flows["destination_port"] == [443]


def test_a_capture_of_the_server_side_only(flows_of):
    one_sided = [packet(0, SYN | ACK, 9, 6, back=True), packet(1, ACK, 10, 6, 50, back=True)]
    again = [packet(2, SYN | ACK, 70_000, 800, back=True), packet(3, ACK, 70_001, 800, 60, back=True)]
    flows = flows_of(one_sided + again)
    assert flows["direction"] == [[-1, -1], [-1, -1]]
    assert flows["source_port"] == [4000, 4000]


def test_with_no_handshake_the_first_sender_is_the_initiator(flows_of):
    flows = flows_of([packet(0, ACK, 9, 6, 10, back=True), packet(1, ACK, 6, 19)])
    assert flows["direction"] == [[1, -1]]
    assert flows["source_port"] == [443]


def test_a_syn_in_the_middle_of_an_unknown_connection_begins_a_new_one(flows_of):
    assert sizes(flows_of([packet(0, ACK, 500, 6, 10), packet(1, SYN, 90_000), packet(2, ACK, 90_001, 1)])) == [1, 2]


def test_every_syn_fin_is_a_flow(flows_of):
    """A first packet that both opens and closes must not leave an empty flow behind."""
    assert sizes(flows_of([packet(0, SYN | FIN, 5), packet(1, SYN | FIN, 9)])) == [1, 1]


def test_packets_that_come_too_late_to_be_sorted_are_put_in_order_within_their_flow(flows_of, monkeypatch, tmp_path):
    """Beyond the window, a flow still in memory gets its packets in order; the remark names the remedy."""
    monkeypatch.setattr(time_order, "_WINDOW_PACKETS", 3)
    monkeypatch.setattr(packet_block, "_CHUNK", 50)
    times = [5, 6, 7, 8, 9, 10, 11, 1, 2, 3]
    flows = flows_of([datagram(time, time) for time in times])
    assert flows["payload_length"] == [sorted(times)]
    assert sum(flows["inter_arrival_time"][0]) == 10
    reader = CaptureReader(tmp_path / "made.pcap")
    list(reader)
    (remark,) = (text for text in reader.noticed if "reordercap" in text)
    assert reader.noticed[remark] == 3


def test_flows_stand_in_the_order_of_their_first_packets(flows_of):
    packets = sorted(
        (
            one
            for port in range(5)
            for one in make.conversation([5] * (5 - port), start=port / 1000, ports=(50_000 - port, 80))
        ),
        key=lambda one: one[0],
    )
    flows = flows_of(packets)
    assert flows["source_port"] == [50_000, 49_999, 49_998, 49_997, 49_996]
    assert flows["flow_id"][0] == "made#1"


events = st.tuples(
    st.sampled_from([SYN, SYN | ACK, ACK, ACK, ACK, FIN | ACK, RST, SYN | FIN]),
    st.integers(0, 3),  # which flow
    st.booleans(),  # direction
    st.sampled_from([0, 100, 5000]),  # sequence number
    st.integers(0, 50),  # payload
    st.sampled_from([0.0, 0.1, 1.0, 3.0, -0.5, -20.0]),  # since the packet before
)


@settings(max_examples=25, deadline=None)
@given(st.lists(events, min_size=1, max_size=40), st.sampled_from([None, 1, 3]), st.booleans())
def test_where_blocks_end_does_not_matter(tmp_path_factory, made, max_packets, split_offload):
    """Property: the state carried from block to block makes small blocks read like one large one; no packet is lost."""
    time, packets = 1000.0, []
    for flags, flow, back, seq, size, gap in made:
        time += gap
        packets.append(packet(time, flags, seq, 0, size, back, (4000 + flow, 443)))
    path = tmp_path_factory.mktemp("blocks") / "made.pcap"
    path.write_bytes(make.pcap(packets, link=make.RAW_IP))
    options = {"idle_timeout": 2.0, "max_packets": max_packets, "split_offload": split_offload}
    whole = read_pcap(path, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packet_block, "_CHUNK", 150)
        assert read_pcap(path, **options).to_list() == whole.to_list()
    assert sum(whole["packet_count"]) == len(packets)
    assert [min(count, max_packets or count) for count in whole["packet_count"]] == sizes(whole)


def test_finished_flows_are_given_out_before_the_end(tmp_path, monkeypatch):
    """Memory holds open flows only: a long capture of short flows comes in several batches."""
    from hf_ntg.flows.capture_in import assembler

    monkeypatch.setattr(assembler, "_BATCH_FLOWS", 10)
    monkeypatch.setattr(packet_block, "_CHUNK", 2_000)
    packets = [datagram(time * 1000.0, time % 50) for time in range(200)]
    path = tmp_path / "long.pcap"
    path.write_bytes(make.pcap(packets, link=make.RAW_IP))
    batches = list(CaptureReader(path))
    assert len(batches) > 5
    assert np.concatenate([batch.flows.payload_length for batch in batches]).tolist() == [
        len(data) - 28 for _, data in packets
    ]
