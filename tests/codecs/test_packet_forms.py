"""What each form writes, channel by channel; test_processing_flow_signal.py holds that flows come back exactly."""

import numpy as np
import pytest
from written_flows import flow, table

from hf_ntg.codecs.packet_codes import CODE_WIDTH, OTHER_UP, PacketCodes
from hf_ntg.codecs.packet_forms import CodedPackets, SeparatePackets
from hf_ntg.flows.arrays import FlowArrays


@pytest.fixture
def arrays():
    return FlowArrays.from_dataset(table(flow("+100 -1000"), flow("+7")))


def written(form, arrays, cut):
    """Channels (C, 2, 3), known (2, C, 3) and words (2, 3); the end of the second flow is unknown if it is cut."""
    present = np.array([[True, True, False], [True, False, False]])
    ends = present | np.array([[True], [not cut]])
    channels = np.zeros((form.num_channels, *present.shape), np.float32)
    known = np.repeat(present[:, None], form.num_channels, axis=1)
    words = form.write(channels, known, arrays, present, ends)
    return channels, known, words


@pytest.mark.parametrize("cut", [False, True])
def test_code_words_and_the_length_of_packets_without_one(arrays, cut):
    form = CodedPackets([2 * 100, 2 * 1000 + 1], max_payload=1460)
    channels, known, words = written(form, arrays, cut)
    assert words.tolist() == [[3, 4, 0], [OTHER_UP, 0, 0]]
    assert (channels[:CODE_WIDTH] == PacketCodes([200, 2001]).book[words].transpose(2, 0, 1)).all()
    assert known[:, CODE_WIDTH].tolist() == [[False] * 3, [True, False, False]]
    assert known[0, 0].all()
    assert known[1, 0].tolist() == [True, not cut, not cut]
    present, direction, length = form.read(channels)
    assert present.tolist() == [[True, True, False], [True, False, False]]
    assert (direction * length)[present].tolist() == [100, -1000, 7]


def test_separate_channels_are_linear_in_the_length(arrays):
    form = SeparatePackets(max_payload=1000)
    channels, known, words = written(form, arrays, cut=True)
    assert not words.any()
    assert channels[0, 0].tolist() == [1, -1, 0]
    assert channels[1, 0].tolist() == pytest.approx([-0.8, 1, 0])
    assert known[1, 2].tolist() == [True, False, False]
    present, direction, length = form.read(channels)
    assert present.tolist() == [[True, True, False], [True, False, False]]
    assert (direction * length)[present].tolist() == [100, -1000, 7]
