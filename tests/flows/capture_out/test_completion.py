"""Conversations completed around packets with payload."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written_flows import check_connection, table

from hf_ntg.flows import FlowArrays, write_pcap
from hf_ntg.flows.capture_in.pcap import read_pcap
from hf_ntg.flows.capture_out.completion import completion, round_trip_times
from hf_ntg.flows.capture_out.conversation import converse
from hf_ntg.flows.capture_out.tcp_roles import ACK, FIN, SYN
from hf_ntg.flows.schema import TCP
from hf_ntg.flows.view import in_view

MS = 1_000_000


def completed(packets, is_tcp=True):
    """Additions to one flow from (milliseconds, upstream) pairs."""
    times, sides = (np.array(column) for column in zip(*packets, strict=True))
    return completion(times * MS, sides.astype(bool), np.array([0, len(times)]), np.array([is_tcp]), 1)


def acknowledgements(found):
    """(milliseconds, upstream) of the packets that only acknowledge, between handshake and closing."""
    rows = np.flatnonzero((found.flags == ACK) & (found.time > 0))
    last = found.time[(found.flags & FIN) > 0].min()
    return sorted((round(found.time[row] / MS, 2), bool(found.upstream[row])) for row in rows if found.time[row] < last)


@pytest.mark.parametrize(
    ("packets", "expected"),
    [
        ([(0, True), (20, False), (20, False), (60, True)], [(20.02, True)]),  # the second of two segments, at once
        ([(0, True), (20, False), (60, True)], [(21.02, True)]),  # a single one, after the delay
        ([(0, True), (20, False), (20.5, True), (40.5, False)], []),  # carried by data
        ([(0, True), (0, True), (50, False)], []),  # the answer comes when the acknowledgement would
        ([(0, True), (0, True), (20, False), (100, True), (100, True), (190, False)], [(21.02, True), (120.0, False)]),
    ],
)
def test_acknowledgements(packets, expected):
    found = [one for one in acknowledgements(completed(packets)) if one[0] not in {time for time, _ in packets}]
    assert found == expected


def test_udp_is_left_alone():
    assert not len(completed([(0, True), (20, False), (20, False)], is_tcp=False).flow)


def test_round_trip_times():
    times, sides = np.array([0, 30, 40, 45, 0, 9, 0]) * MS, np.array([1, 0, 1, 0, 1, 1, 0], bool)
    assert (round_trip_times(times, sides, np.array([0, 4, 6, 7])) / MS).tolist() == [5, 20, 20]


@st.composite
def payload_flows(draw):
    rows = []
    for number in range(draw(st.integers(1, 4))):
        size = draw(st.integers(1, 30))
        gaps = draw(st.lists(st.sampled_from([0.0, 1e-5, 0.001, 0.03, 0.2, 7.0]), min_size=size - 1, max_size=size - 1))
        rows.append(
            {
                "flow_id": str(number),
                "label": "web",
                "protocol": draw(st.sampled_from([6, 6, 17])),
                "payload_length": draw(st.lists(st.integers(1, 1_440), min_size=size, max_size=size)),
                "direction": [1, *draw(st.lists(st.sampled_from([1, -1]), min_size=size - 1, max_size=size - 1))],
                "inter_arrival_time": [0.0, *gaps],
            }
        )
    return table(*rows)


@settings(max_examples=15, deadline=None)
@given(payload_flows())
def test_payload_packets_come_back_exactly(tmp_path_factory, flows):
    path = tmp_path_factory.mktemp("x") / "x.pcap"
    report = write_pcap(flows, path, seed=1)
    found, dropped = in_view(FlowArrays.from_dataset(read_pcap(path, idle_timeout=1e6)), "payload")
    wanted = FlowArrays.from_dataset(flows)
    assert dropped == 0
    assert report.packets_added == report.packets - len(wanted.payload_length)
    assert sorted(packets_of(found)) == sorted(packets_of(wanted))


def packets_of(flows):
    """Signed lengths and gaps in microseconds of every flow."""
    bounds = zip(flows.offsets[:-1], flows.offsets[1:], strict=True)
    return [
        (flows.signed_length[low:high].tolist(), np.rint(flows.inter_arrival_time[low:high] * 1e6).astype(int).tolist())
        for low, high in bounds
    ]


@settings(max_examples=15, deadline=None)
@given(payload_flows())
def test_completed_conversations_are_legal(flows):
    arrays = FlowArrays.from_dataset(flows)
    count = len(arrays)
    rng = np.random.default_rng(1)
    made = converse(arrays, arrays.protocol, np.zeros(count, bool), np.full(count, 1_460), rng, payload_view=True)
    for row in np.flatnonzero(arrays.protocol == TCP):
        packets = made.packets[made.offsets[row] : made.offsets[row + 1]]
        assert (np.diff(packets["time"]) >= 0).all()
        check_connection(packets)
        assert packets["flags"][0] == SYN
        assert ((packets["flags"] & FIN) > 0).sum() == 2
        assert made.added_before[row] == 3
