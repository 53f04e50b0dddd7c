from collections import Counter

import numpy as np
import pytest

from hf_ntg.flows.table_in.conventions import Convention
from hf_ntg.flows.table_in.conversion import Conversion
from hf_ntg.flows.table_in.ragged import Ragged
from hf_ntg.flows.table_in.raw_batch import ADDRESSES, NUMBERS, TEXTS, RawBatch


def converted(lists, max_packets=None, **convention):
    """Flows of rows, and the counters of rows left out and of remarks."""
    rows = len(next(iter(lists.values())))
    facts = {name: [None] * rows for name in (*TEXTS, *NUMBERS)} | {name: [b""] * rows for name in ADDRESSES}
    raw = RawBatch({name: Ragged.of_lists(cells) for name, cells in lists.items()}, facts)
    skipped, noticed = Counter(), Counter()
    conversion = Conversion(Convention(**convention), lists, max_packets, skipped, noticed)
    return conversion.flows(raw).flows, skipped, noticed


def test_signed_lengths_and_gaps_in_milliseconds():
    flows, skipped, _ = converted(
        {"payload_length": [[5, -6], [7]], "inter_arrival_time": [[0, 250], [0]]}, signed=True, unit=1e-3
    )
    assert flows.payload_length.tolist() == [5, 6, 7]
    assert flows.direction.tolist() == [1, -1, 1]
    assert flows.inter_arrival_time.tolist() == [0, 0.25, 0]
    assert flows.packet_count.tolist() == [2, 1]
    assert not skipped


def test_time_stamps_become_gaps_and_gaps_below_zero_are_noticed():
    flows, _, noticed = converted(
        {"payload_length": [[5, 6, 7]], "inter_arrival_time": [[100, 103, 102]]}, signed=True, timestamps=True
    )
    assert flows.inter_arrival_time.tolist() == [0, 3, 0]
    assert noticed == {"inter-arrival times below 0, taken as 0": 1}


def test_padding_is_stripped_and_flows_are_cut():
    flows, skipped, noticed = converted(
        {"payload_length": [[5, 6, 7, 0], [0, 0]], "direction": [[1, 2, 1, 0], [0, 0]]},
        max_packets=2, padding=("0",), directions={1.0: 1, 2.0: -1},
    )  # fmt: skip
    assert flows.payload_length.tolist() == [5, 6]
    assert flows.direction.tolist() == [1, -1]
    assert flows.packet_count.tolist() == [3]
    assert skipped == {"no packets": 1}
    assert list(noticed.values()) == [2]


@pytest.mark.parametrize(
    ("lengths", "directions", "reason"),
    [
        ([70_000], [1], "a payload length that is not 0 to"),
        ([1.5], [1], "a payload length that is not 0 to"),
        ([5], [3], "a direction that is neither of the two"),
        ([5, 6], [1], "packet lists of unequal length"),
        (None, [1], "a packet list is missing"),
        (["x"], [1], "a packet list that is no list of numbers"),
        ([], [], "no packets"),
    ],
)
def test_a_bad_row_is_counted_and_the_others_kept(lengths, directions, reason):
    flows, skipped, _ = converted(
        {"payload_length": [lengths, [9]], "direction": [directions, [-1]]}, directions={1.0: 1, -1.0: -1}
    )
    assert flows.payload_length.tolist() == [9]
    assert [name.startswith(reason) for name in skipped] == [True]
    assert np.array_equal(flows.offsets, [0, 1])
