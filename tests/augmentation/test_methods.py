import numpy as np
import pytest
from made_flows import table, two_services

from hf_ntg import InputError
from hf_ntg.augmentation.methods import flows_from_few
from hf_ntg.flows.arrays import FlowArrays

FEW = FlowArrays.from_dataset(two_services(4, 0))


@pytest.mark.parametrize("method", ["loss", "crossover+jitter,shift", "replay", "smote", "4-gram"])
def test_as_many_of_each_class_as_asked(method):
    made = flows_from_few(FEW, {"mail": 3, "web": 130}, method, seed=1)
    assert made.label.tolist() == ["mail"] * 3 + ["web"] * 130
    assert made.num_packets.max() <= FEW.num_packets.max()
    again = flows_from_few(FEW, {"mail": 3, "web": 130}, method, seed=1)
    assert again.to_dataset().to_dict() == made.to_dataset().to_dict()


def test_every_flow_is_changed_equally_often():
    few = FlowArrays.from_dataset(table(*[("a", [size]) for size in (100, 200, 300)]))
    made = flows_from_few(few, {"a": 61}, "loss")
    assert sorted(np.unique(made.payload_length, return_counts=True)[1]) == [20, 20, 21]


def test_what_cannot_be_made():
    with pytest.raises(
        InputError, match=r"no method 'noise'; choose 'auto', a transformation \(loss, .* or a baseline"
    ):
        flows_from_few(FEW, {"web": 1}, "noise")
    with pytest.raises(InputError, match="no flow of class 'chat'"):
        flows_from_few(FEW, {"chat": 1}, "loss")
