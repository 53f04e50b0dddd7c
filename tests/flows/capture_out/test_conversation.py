import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written_flows import check_connection, flow, legal_flows, table

from hf_ntg.flows import FlowArrays
from hf_ntg.flows.capture_out.conversation import ADDED_GAP, Conversations, converse
from hf_ntg.flows.capture_out.tcp_roles import ACK, FIN, PSH, RST, SYN
from hf_ntg.flows.schema import TCP, UDP


def talk(flows: FlowArrays, limit: int = 1_460, tls: bool = False, **options) -> Conversations:
    count = len(flows)
    rng = np.random.default_rng(1)
    return converse(flows, flows.protocol, np.full(count, tls), np.full(count, limit), rng, **options)


@settings(max_examples=25, deadline=None)
@given(legal_flows(max_length=3_000), st.booleans())
def test_connections_are_legal(flows, complete):
    arrays = FlowArrays.from_dataset(flows)
    made = talk(arrays, limit=1_000, complete=complete)
    for row in range(len(arrays)):
        packets = made.packets[made.offsets[row] : made.offsets[row + 1]]
        assert (np.diff(packets["time"]) >= 0).all()
        assert packets["length"].sum() == arrays.payload_length[arrays.flow_index == row].sum()
        if arrays.protocol[row] == UDP:
            assert not packets["flags"].any()
            continue
        check_connection(packets)
        flags = packets["flags"]
        if complete:
            assert flags[0] == SYN
            ends = (flags & FIN).astype(bool).sum()
            assert ends == 2 or flags[-1] & RST or (flags == SYN).all()


def test_added_packets():
    arrays = FlowArrays.from_dataset(table(flow("-9 +0", inter_arrival_time=[0, 0.5], tcp_window=[7, 8])))
    made = talk(arrays)
    packets = made.packets
    assert packets["flags"].tolist() == [SYN, SYN | ACK, ACK, PSH | ACK, ACK, FIN | ACK, FIN | ACK, ACK]
    assert packets["upstream"].tolist() == [True, False, True, False, True, True, False, True]
    assert packets["added"].tolist() == [True] * 3 + [False] * 2 + [True] * 3
    assert packets["window"][3:5].tolist() == [7, 8]
    own = 500_000_000
    gaps = [ADDED_GAP] * 3 + [own] + [ADDED_GAP] * 3
    assert np.diff(packets["time"]).tolist() == gaps
    assert (made.added_before[0], made.added_after[0]) == (3, 3)
    assert len(talk(arrays, complete=False).packets) == 2


def test_long_payloads_are_cut_up():
    arrays = FlowArrays.from_dataset(table(flow("+0 -0 +0 -2500 +0 -0"), flow("+2500", UDP)))
    made = talk(arrays, limit=1_000)
    first = made.packets[:8]
    assert first["length"].tolist() == [0, 0, 0, 1_000, 1_000, 500, 0, 0]
    assert first["flags"].tolist() == [SYN, SYN | ACK, ACK, ACK, ACK, PSH | ACK | FIN, ACK | FIN, ACK]
    assert first["time"][3] == first["time"][5]
    assert made.packets["length"][8:].tolist() == [1_000, 1_000, 500]
    assert made.segmented == 2


def test_reset_of_a_syn_has_no_sequence_number_of_its_own():
    packets = talk(FlowArrays.from_dataset(table(flow("+0 -0")))).packets
    assert packets["sequence"][1] == 0
    assert packets["acknowledgement"][1] == packets["sequence"][0] + 1


@pytest.mark.parametrize(
    ("packets", "records", "skips"),
    [
        ("+3 +100 +2 -50 +1 +6", [101, 101, 101, 45, 101, 1], [0, 3, 5, 0, 5, 0]),
        ("+2 +2 +2 +9", [1, 1, 1, 4], [0, 2, 4, 0]),
        ("+5 +7", [7, 7], [0, 5]),
        ("+5", [-1], [0]),
        ("+6 -7", [1, 2], [0, 0]),
    ],
)
def test_tls_records_tile_what_a_side_sends(packets, records, skips):
    made = talk(FlowArrays.from_dataset(table(flow(packets), flow(packets, UDP))), tls=True, complete=False)
    size = len(records)
    assert made.packets["tls_record"].tolist() == [*records, *[-1] * size]
    assert made.packets["tls_skip"].tolist() == [*skips, *[0] * size]


def test_times_without_a_column_and_with_a_tick():
    made = talk(FlowArrays.from_dataset(table(flow("+1 -1 +1", TCP))), complete=False)
    assert made.packets["time"].tolist() == [0, 1_000_000, 2_000_000]
    timed = FlowArrays.from_dataset(table(flow("+1 -1", TCP, inter_arrival_time=[9.0, 1.23456e-3])))
    assert talk(timed, complete=False, tick=1_000).packets["time"].tolist() == [0, 1_235_000]


def test_windows_are_scaled_so_that_what_is_under_way_fits():
    """A window of 2 says nothing of its unit: 3000 bytes under way want 2**11. The SYN's own is never scaled."""
    windows = [1, 60_000, 2, 60_000, 60_000, 3]
    rows = flow("+0 -0 +0 -1000 -2000 +0", tcp_window=windows), flow("+0 -0 +0 -1000 -2000 +0")
    packets = talk(FlowArrays.from_dataset(table({**rows[1], "tcp_window": [500] * 6}, rows[0]))).packets
    syns = packets[(packets["flags"] & SYN) > 0]
    assert syns["upstream"].tolist() == [True, False] * 2
    assert syns["scale"].tolist() == [7, 7, 11, 7]
