import numpy as np

from hf_ntg.augmentation.packet_words import packet_words


def test_words_of_a_flow():
    found, empty = packet_words(np.array([[100, -40, 0], [0, 0, 0]]))
    assert found == [
        "packets 2",
        *("length 100", "length -40"),
        *("bin 19", "bin -16"),  # 3 log2(101) = 19.97, 3 log2(41) = 16.07
        *("bin 19 at 0", "bin -16 at 1"),
        "bins 19 -16",
    ]
    assert empty == ["packets 0"]


def test_empty_packets_have_no_words():
    assert packet_words(np.array([[0, 100, 0, -40]])) == packet_words(np.array([[100, -40, 0, 0]]))


def test_near_lengths_share_a_bin_and_directions_do_not():
    up, near, down = (set(words) for words in packet_words(np.array([[1400], [1390], [-1400]])))
    assert len(up & near) == 3
    assert up & down == {"packets 1"}
