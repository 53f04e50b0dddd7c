from dataclasses import replace

import numpy as np

from hf_ntg.flows import FlowArrays
from hf_ntg.flows.arrays import ragged_positions, text_ranks


def test_dataset_round_trip_keeps_every_column(flows):
    again = FlowArrays.from_dataset(flows).to_dataset()
    assert again.column_names == flows.column_names
    assert again.to_dict() == flows.to_dict()


def test_take_and_head_are_those_of_the_rows(flows):
    arrays, rows = FlowArrays.from_dataset(flows), np.array([7, 0, 7, 100])
    assert arrays.take(rows).to_dataset().to_dict() == flows.select(rows).to_dict()
    mask = np.zeros(len(flows), dtype=bool)
    mask[[3, 9]] = True
    assert arrays.take(mask).to_dataset()["payload_length"] == flows.select([3, 9])["payload_length"]
    cut = arrays.head(3)
    assert cut.to_dataset()["payload_length"] == [row[:3] for row in flows["payload_length"]]
    np.testing.assert_array_equal(cut.packet_count, arrays.packet_count)


def test_shuffled_tables_are_read_in_their_order(flows):
    mixed = flows.shuffle(seed=1)
    assert FlowArrays.from_dataset(mixed).to_dataset().to_dict() == mixed.to_dict()


def test_padded_matrix_cuts_and_fills():
    arrays = FlowArrays(
        np.array([0, 1, 4]), np.array([5, 6, 7, 8], dtype=np.int32), np.ones(4, np.int8), np.array(["a", "b"], object)
    )
    np.testing.assert_array_equal(arrays.padded("payload_length", 2, -1), [[5, -1], [6, 7]])


def test_packet_symbols_tell_direction_and_length_apart():
    arrays = FlowArrays(
        np.array([0, 4]),
        np.array([0, 0, 9, 9], dtype=np.int32),
        np.array([1, -1, 1, -1], dtype=np.int8),
        np.array(["a"], dtype=object),
    )
    assert len(set(arrays.packet_symbol.tolist())) == 4
    np.testing.assert_array_equal(arrays.signed_length, [0, 0, 9, -9])


def test_unknown_header_facts_stay_unknown(flows):
    arrays = FlowArrays.from_dataset(flows)
    unknown = replace(arrays, protocol=np.full(len(arrays), -1, dtype=np.int32)).to_dataset()
    assert set(unknown["protocol"]) == {None}
    assert set(FlowArrays.from_dataset(unknown).protocol) == {-1}


def test_ragged_positions():
    np.testing.assert_array_equal(ragged_positions(np.array([2, 0, 3])), [0, 1, 0, 1, 2])
    assert len(ragged_positions(np.array([], dtype=int))) == 0


def test_equal_texts_of_many_flows_are_one_object(flows):
    arrays = FlowArrays.from_dataset(flows)
    for column in (arrays.label, arrays.capture):
        assert len(set(map(id, column))) == len(set(column))


def test_equal_texts_have_equal_ranks_in_order():
    assert text_ranks(np.array(["b", "a", "b", None, "", "c"], dtype=object)).tolist() == [2, 1, 2, 0, 0, 3]
