from dataclasses import replace

import numpy as np
import pytest
from made_flows import table
from small_flows import make_flows

from hf_ntg import InputError
from hf_ntg.augmentation import TRANSFORMATIONS, transform_flows
from hf_ntg.augmentation.edits import arrival_times
from hf_ntg.flows import conform_flows
from hf_ntg.flows.arrays import FlowArrays

FIVE = FlowArrays.from_dataset(table(*[("a", [1, -2, 3, -4, 5], [0, 1, 2, 4, 8])] * 400, packet_count=[9] * 400))
ARRIVAL = {1: 0.0, 2: 1.0, 3: 3.0, 4: 7.0, 5: 15.0}
RECIPES = (*TRANSFORMATIONS, "crossover+loss", "crossover,loss,shift+fast-retransmit")


def sequences(flows):
    return [part.tolist() for part in np.split(flows.payload_length, flows.offsets[1:-1])]


def times(flows):
    return [part.tolist() for part in np.split(arrival_times(flows), flows.offsets[1:-1])]


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("view", ["all", "payload", "without times"])
def test_flows_stay_legal_and_the_seed_decides(recipe, view):
    flows = FlowArrays.from_dataset(make_flows(120))
    if view == "all":
        flows = replace(flows, payload_length=flows.payload_length * (flows.position % 3 != 1).astype(np.int32))
    if view == "without times":
        flows = replace(flows, inter_arrival_time=None)
        if recipe in ("change-rtt", "time-shift"):
            with pytest.raises(InputError, match="no column 'inter_arrival_time'"):
                transform_flows(flows, recipe)
            return
    made = transform_flows(flows, recipe, seed=3, max_packets=6)
    conform_flows(made.to_dataset(), recipe)
    assert len(made) == len(flows)
    assert made.label.tolist() == flows.label.tolist()
    assert made.protocol.tolist() == flows.protocol.tolist()
    assert made.num_packets.min() >= 1
    assert made.num_packets.max() <= 6
    assert (made.packet_count >= made.num_packets).all()
    assert set(made.capture) == {None}
    if view != "without times":
        assert not made.inter_arrival_time[made.offsets[:-1]].any()
        assert (made.inter_arrival_time >= 0).all()
    assert made.to_dataset().to_dict() == transform_flows(flows, recipe, seed=3, max_packets=6).to_dataset().to_dict()
    assert made.to_dataset().to_dict() != transform_flows(flows, recipe, seed=4, max_packets=6).to_dataset().to_dict()


def test_loss_takes_each_packet_alike_and_keeps_the_clock():
    made = transform_flows(FIVE, "loss", seed=0)
    lost = 1 - np.bincount(made.payload_length, minlength=6)[1:] / 400
    assert (np.abs(lost - 0.15) < 0.06).all()
    assert made.packet_count.tolist() == (9 - 5 + made.num_packets).tolist()
    for lengths, since in zip(sequences(made), times(made), strict=True):
        assert lengths == sorted(lengths)
        assert since == [ARRIVAL[length] - ARRIVAL[lengths[0]] for length in lengths]


def test_a_flow_that_would_lose_everything_keeps_one_packet():
    from hf_ntg.augmentation.losses import packet_loss

    made = packet_loss(FIVE, np.random.default_rng(0), 5, probability=1)
    assert made.num_packets.tolist() == [1] * 400
    assert set(made.payload_length) == {1, 2, 3, 4, 5}


def test_masking_leaves_out_one_run_of_neighbours():
    made = sequences(transform_flows(FIVE, "masking", seed=0))
    assert {5 - len(flow) for flow in made} == {1, 2, 3}
    for flow in made:
        gone = sorted({1, 2, 3, 4, 5} - set(flow))
        assert gone == list(range(gone[0], gone[-1] + 1))


def test_shift_moves_what_is_behind_a_place():
    made = transform_flows(FIVE, "shift", seed=0, max_packets=20)
    for flow, since in zip(sequences(made), times(made), strict=True):
        if len(flow) < 5:
            gone = sorted({1, 2, 3, 4, 5} - set(flow))
            assert gone == list(range(gone[0], gone[-1] + 1))
        else:
            n = len(flow) - 5
            first = next(k for k in range(5) if flow[k : k + n] == flow[k + n : k + 2 * n])
            assert flow[: first + n] + flow[first + 2 * n :] == [1, 2, 3, 4, 5]
            assert since == sorted(since)
    assert {len(flow) for flow in sequences(made)} == {2, 3, 4, 6, 7, 8}


def test_fast_retransmit_repeats_or_delays_one_packet():
    made = transform_flows(FIVE, "fast-retransmit", seed=0, max_packets=20)
    counts = np.bincount(made.num_packets)
    assert counts.sum() == counts[5] + counts[6]
    assert abs(counts[5] - 200) < 60
    for flow, since in zip(sequences(made), times(made), strict=True):
        assert set(flow) == {1, 2, 3, 4, 5}
        assert since[-1] <= 15


def test_only_packets_with_payload_are_sent_again():
    flows = FlowArrays.from_dataset(table(*[("a", ["+0", "-0", "+0", 7], [0, 1, 1, 1])] * 50))
    for name in ("fast-retransmit", "time-out"):
        made = transform_flows(flows, name, seed=0, max_packets=9)
        assert np.bincount(made.flow_index, made.payload_length == 0).tolist() == [3] * 50


def test_time_out_waits_and_then_sends_one_side_again():
    made = transform_flows(FIVE, "time-out", seed=0, max_packets=20)
    for row, flow in enumerate(sequences(made)):
        own = slice(made.offsets[row], made.offsets[row + 1])
        assert set(flow) == {1, 2, 3, 4, 5}
        twice = [length for length in set(flow) if flow.count(length) == 2]
        assert len({made.direction[own][flow.index(length)] for length in twice}) <= 1
    late = np.round([since[-1] for since in times(made)], 4)
    assert set(np.round((late - 15) % 0.2, 4)) <= {0.0, 0.2}
    assert late.min() >= 15  # the first packet alone may be the one that comes late


def test_times_alone_change_with_the_path():
    stretched = transform_flows(FIVE, "change-rtt", seed=0)
    factor = np.array([since[-1] for since in times(stretched)]) / 15
    assert 0.5 <= factor.min() < 0.6
    assert 1.4 < factor.max() <= 1.5
    paused = transform_flows(FIVE, "time-shift", seed=0)
    longer = np.array([since[-1] for since in times(paused)]) - 15
    assert 0 <= longer.min() < 0.1
    assert 0.9 < longer.max() <= 1
    for made in (stretched, paused):
        assert made.payload_length.tolist() == FIVE.payload_length.tolist()


def test_jitter_keeps_empty_packets_empty():
    flows = FlowArrays.from_dataset(table(*[("a", ["+0", 1_000, 9_000], [0, 1, 1])] * 200))
    made = transform_flows(flows, "jitter", seed=0).padded("payload_length", 3)
    assert not made[:, 0].any()
    assert 30 < made[:, 1].std() < 70
    assert set(made[:, 2]) == {9_000}


def test_crossover_stays_in_the_class_and_near_the_cut():
    flows = FlowArrays.from_dataset(
        table(*[(label, [base + k for k in range(6)], [0, 1, 1, 1, 1, 1]) for label in "ab" for base in (10, 30)] * 60)
    )
    made = transform_flows(flows, "crossover", seed=0)
    crossed = 0
    for flow, since, own in zip(sequences(made), times(made), sequences(flows), strict=True):
        base = own[0]
        kept = sum(base <= length < base + 6 for length in flow)
        crossed += kept < len(flow)
        if kept < len(flow):
            assert flow[:kept] == own[:kept]
            assert abs(flow[kept] - (40 - base) - kept) <= 1
            assert since == list(range(len(flow)))
    assert 60 < crossed < 180
    apart = FlowArrays.from_dataset(table(("a", [1, 2, 3]), ("b", [7, 8, 9])))
    for seed in range(20):
        mixed = sequences(transform_flows(apart, "crossover", seed=seed))
        assert set(mixed[0]) <= {1, 2, 3}
        assert set(mixed[1]) <= {7, 8, 9}


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match=r"no transformation 'noise'; choose from loss"):
        transform_flows(FIVE, "noise")
