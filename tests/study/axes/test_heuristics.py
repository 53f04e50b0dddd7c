import numpy as np
import pytest
from made_flows import table, two_services

from hf_ntg import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.study.axes.heuristics import perturb_flows


def test_jitter_keeps_what_a_flow_is():
    flows = two_services(30, 0)
    made = FlowArrays.from_dataset(perturb_flows(flows, "jitter", {"mail": 50, "web": 10}, seed=1))
    assert (made.label == "mail").sum() == 50
    assert (made.label == "web").sum() == 10
    handshake = made.padded("payload_length", 3)
    assert not handshake.any()  # empty packets stay empty
    requests = made.padded("payload_length", 4)[:, 3]
    assert (np.abs(requests / np.where(made.label == "mail", 102.5, 702.5) - 1) < 0.4).all()
    assert len(np.unique(requests)) > 20


def test_masking_loses_packets_and_keeps_the_clock():
    flows = table(*[("a", [1, -2, 3, -4, 5], [0, 1, 2, 4, 8])] * 5)
    made = FlowArrays.from_dataset(perturb_flows(flows, "masking", {"a": 400}, seed=0))
    lengths = made.num_packets
    assert 4.4 < lengths.mean() < 4.8  # four of five packets can go, each with probability 0.1
    assert (made.payload_length[made.offsets[:-1]] == 1).all()
    arrival = {1: 0, 2: 1, 3: 3, 4: 7, 5: 15}
    for row in range(400):
        own = slice(made.offsets[row], made.offsets[row + 1])
        since = np.cumsum(made.inter_arrival_time[own])
        assert since.tolist() == [arrival[length] for length in made.payload_length[own].tolist()]


def test_same_seed_same_flows_and_bad_requests():
    flows = two_services(5, 0)
    one, two = (perturb_flows(flows, "masking", {"web": 20}, seed=3).to_dict() for _ in range(2))
    assert one == two
    with pytest.raises(InputError, match="no change of flows called 'noise'"):
        perturb_flows(flows, "noise", {"web": 1}, seed=0)
    with pytest.raises(InputError, match="no flow of class 'chat'"):
        perturb_flows(flows, "jitter", {"chat": 1}, seed=0)
