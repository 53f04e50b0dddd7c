import numpy as np
import pytest
from made_flows import two_services

from hf_ntg import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.study.axes.unlabelled import guess_by_library

FEW, OTHERS = (FlowArrays.from_dataset(two_services(count, seed)) for count, seed in ((2, 0), (30, 1)))


@pytest.mark.parametrize("name", ["self-training", "label-spreading"])
def test_flows_get_the_label_of_those_they_resemble(name):
    guessed = guess_by_library(name, FEW, OTHERS, 6, seed=0)
    reached = np.array([label is not None for label in guessed])
    assert reached.sum() > 20
    assert (guessed == OTHERS.label)[reached].mean() > 0.95
    assert reached.all() or name == "label-spreading"
    assert (guessed == guess_by_library(name, FEW, OTHERS, 6, seed=0)).all()


def test_the_labels_of_the_others_are_not_read():
    blank = FlowArrays(
        OTHERS.offsets, OTHERS.payload_length, OTHERS.direction, np.full(len(OTHERS), None, dtype=object)
    )
    guessed = guess_by_library("self-training", FEW, blank, 6, seed=0)
    assert (guessed == guess_by_library("self-training", FEW, OTHERS, 6, seed=0)).all()
    with pytest.raises(InputError, match="no method 'hope'"):
        guess_by_library("hope", FEW, OTHERS, 6, seed=0)
