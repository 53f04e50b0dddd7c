import numpy as np
import pytest

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.generation.parallel import block_count, draw_blocks
from hf_ntg.generation.sampler import check_options


class Echo:
    """A sampler whose flows say which class they are of and where they are in the request."""

    block_size, options = 4, ("temperature",)

    def draw(self, classes, seed, first, **options):
        count = len(classes)
        place = (first + np.arange(count)).astype(np.int32)
        label = np.array(["a", "b"], object)[classes]
        return FlowArrays(np.arange(count + 1), place, np.ones(count, np.int8), label)


def drawn(counts, num_proc=1, folder=None):
    counts = np.array(counts)
    blocks = range(block_count(counts, Echo.block_size))
    return list(draw_blocks(Echo(), folder, counts, 0, blocks, num_proc, {}))


def test_blocks_hold_the_request_class_after_class():
    parts = drawn([5, 4])
    assert [len(part) for part in parts] == [4, 4, 1]
    assert np.concatenate([part.label for part in parts]).tolist() == ["a"] * 5 + ["b"] * 4
    assert np.concatenate([part.payload_length for part in parts]).tolist() == list(range(9))


def test_no_flows_are_one_empty_block():
    assert [len(part) for part in drawn([0, 0])] == [0]


def test_a_model_that_is_not_saved_draws_in_one_process():
    with pytest.raises(InputError, match="only a saved model"):
        drawn([5, 4], num_proc=2)


def test_options_are_checked_before_drawing():
    check_options(Echo(), {"temperature": 0.5})
    for options, message in (({"scheduler": "ddim"}, "it takes temperature"), ({"temperature": 0}, "above 0")):
        with pytest.raises(InputError, match=message):
            check_options(Echo(), options)
