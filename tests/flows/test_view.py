import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_flows import table

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.provenance import Provenance, mark_flows
from hf_ntg.flows.view import all_in_view, common_view, flows_in_view, in_one_view, in_view, longest_seen

HANDSHAKE = ("web", ["+0", "-0", "+0", "+517", "-0", "-1448", "-300"], [0.0, 0.25, 0.25, 0.5, 1.0, 2.0, 4.0])
SCAN = ("web", ["+0", "-0"], [0.0, 1.0])


def arrays(*flows, **columns):
    return FlowArrays.from_dataset(table(*flows, **columns))


def test_the_payload_view_keeps_packets_with_data_and_the_time_between_them():
    seen, dropped = in_view(arrays(HANDSHAKE, SCAN, ("dns", ["+30", "-90"], [0.0, 8.0])), "payload")
    assert dropped == 1
    assert seen.view == "payload"
    assert seen.label.tolist() == ["web", "dns"]
    assert seen.signed_length.tolist() == [517, -1448, -300, 30, -90]
    assert seen.inter_arrival_time.tolist() == [0.0, 3.0, 4.0, 0.0, 8.0]
    assert in_view(seen, "payload")[0] is seen


def test_all_keeps_everything_and_cannot_be_made_of_payload_packets():
    flows = arrays(HANDSHAKE, SCAN)
    seen, dropped = in_view(flows, "all")
    assert dropped == 0
    assert seen.packet_symbol.tolist() == flows.packet_symbol.tolist()
    with pytest.raises(InputError, match="payload packets only"):
        in_view(in_view(flows, "payload")[0], "all")
    with pytest.raises(InputError, match="'half': choose one of payload, all"):
        in_view(flows, "half")


@st.composite
def tables(draw):
    sizes = draw(st.lists(st.integers(1, 7), min_size=1, max_size=8))
    total = sum(sizes)
    lengths = draw(st.lists(st.sampled_from([0, 0, 1, 700]), min_size=total, max_size=total))
    gaps = np.array(draw(st.lists(st.integers(0, 64), min_size=total, max_size=total)), dtype=np.float32) / 8
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    gaps[offsets[:-1]] = 0
    return FlowArrays(
        offsets=offsets,
        payload_length=np.array(lengths, dtype=np.int32),
        direction=np.array(draw(st.lists(st.sampled_from([1, -1]), min_size=total, max_size=total)), dtype=np.int8),
        label=np.array([f"flow {i}" for i in range(len(sizes))], dtype=object),
        inter_arrival_time=gaps,
        tcp_window=np.arange(total, dtype=np.int32),
    )


@settings(max_examples=15, deadline=None)
@given(tables())
def test_the_payload_view_is_what_a_loop_over_packets_gives(flows):
    seen, dropped = in_view(flows, "payload")
    wanted = []
    for i in range(len(flows)):
        clock, last, packets = 0.0, None, []
        for p in range(flows.offsets[i], flows.offsets[i + 1]):
            clock += float(flows.inter_arrival_time[p])
            if flows.payload_length[p]:
                gap = 0.0 if last is None else clock - last
                packets.append((flows.payload_length[p], flows.direction[p], gap, flows.tcp_window[p]))
                last = clock
        if packets:
            wanted.append((flows.label[i], packets))
    columns = (seen.payload_length, seen.direction, seen.inter_arrival_time, seen.tcp_window)
    spans = zip(seen.offsets[:-1], seen.offsets[1:], strict=True)
    found = [list(zip(*(column[a:b] for column in columns), strict=True)) for a, b in spans]
    assert list(zip(seen.label, found, strict=True)) == wanted
    assert dropped == len(flows) - len(wanted)


def test_a_flow_that_goes_on_is_cut_and_not_ended():
    whole = ["+0", "-0", "+0", "+5", "-6"]
    flows = arrays(("a", whole), ("a", whole), ("a", ["+5"]), packet_count=[9, 5, 1])
    assert in_view(flows, "all")[0].cut.tolist() == [True, False, False]
    payload = in_view(flows, "payload")[0]
    assert payload.cut.tolist() == [True, False, False]
    assert payload.packet_count.tolist() == [9, 5, 1]
    assert payload.head(1).cut.tolist() == [True, True, False]
    # Without any empty packet, packet_count may count packets that were left out: only the longest can be cut.
    left_out = arrays(("a", ["+5", "-6"]), ("a", ["+5"]), packet_count=[7, 4])
    assert in_view(left_out, "payload")[0].cut.tolist() == [True, False]
    assert not in_view(arrays(("a", ["+5"])), "payload")[0].cut.any()


def test_no_more_packets_are_learned_than_were_seen():
    flows = in_view(arrays(("a", ["+0", "+5"]), ("a", ["+5"]), packet_count=[9, 1]), "all")[0]
    assert longest_seen(flows, 100) == 2
    assert longest_seen(flows, 1) == 1
    ended = in_view(arrays(("a", ["+0", "+5"]), packet_count=[2]), "all")[0]
    assert longest_seen(ended, 100) == 100


def test_flows_without_a_packet_in_the_view_are_named_where_each_is_needed():
    with pytest.raises(InputError, match="flow 1 carries no payload"):
        all_in_view(arrays(HANDSHAKE, SCAN), "payload")
    with pytest.raises(InputError, match="none of the flows carries payload"):
        flows_in_view(arrays(SCAN), "payload")
    assert flows_in_view(arrays(SCAN), None)[0].view == "all"


def test_real_flows_take_the_view_of_synthetic_ones_and_views_do_not_mix():
    real = arrays(HANDSHAKE, SCAN)
    payload, everything = in_view(real, "payload")[0], in_view(real, "all")[0]
    assert common_view({"real": real, "made": payload}) == "payload"
    assert common_view({"real": real}) == "all"
    seen, dropped, view = in_one_view({"real": real, "made": payload})
    assert (view, dropped) == ("payload", {"real": 1, "made": 0})
    assert seen["real"].packet_symbol.tolist() == seen["made"].packet_symbol.tolist()
    with pytest.raises(InputError, match=r"different packet views \(real: all, made: payload\)"):
        common_view({"real": everything, "made": payload})
    assert common_view({"real": everything, "made": payload}, "payload") == "payload"
    with pytest.raises(InputError, match="made: these flows hold their payload packets only"):
        common_view({"real": real, "made": payload}, "all")


def test_the_mark_of_synthetic_flows_names_their_view():
    made = mark_flows(table(("a", ["+5"])), Provenance("m", "", 0, view="payload", max_packets=10))
    assert FlowArrays.from_dataset(made).view == "payload"
    assert FlowArrays.from_dataset(table(("a", ["+5"]))).view is None
    wrong = mark_flows(table(("a", ["+0"])), Provenance("m", "", 0, view="payload"))
    with pytest.raises(InputError, match="mixes synthetic flows of the packet view 'payload'"):
        FlowArrays.from_dataset(wrong)
    both = mark_flows(made, [Provenance("m", "", 0, view="payload"), Provenance("m", "", 0, view="all")])
    with pytest.raises(InputError, match="packet views all and payload"):
        FlowArrays.from_dataset(both)
