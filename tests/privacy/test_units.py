from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_flows import table

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.privacy.noise import SecretNoise
from hf_ntg.privacy.units import UnitFlows, noised_histogram

EVENTS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), min_size=1, max_size=40)


@settings(max_examples=50, deadline=None)
@given(events=EVENTS, norm=st.floats(0.1, 5))
def test_leaving_out_a_unit_moves_a_histogram_by_at_most_the_norm(events, norm):
    units, cells = np.array(events).T

    def histogram(kept):
        return noised_histogram(cells[kept], units[kept], np.ones(kept.sum()), 7, norm, 0.0, SecretNoise())

    whole = histogram(np.ones(len(units), dtype=bool))
    for unit in np.unique(units):
        assert np.linalg.norm(whole - histogram(units != unit)) <= norm * (1 + 1e-9)


def test_noise_is_in_multiples_of_the_norm():
    drawn = noised_histogram(np.zeros(1, int), np.zeros(1, int), np.ones(1), 20_000, 2.0, 3.0, SecretNoise())
    assert abs(drawn[1:].std() - 6.0) < 0.2


FLOWS = table(
    ("a", ["+5", "-7"]), ("a", ["+0", "-0"]), ("b", ["+9"]), ("b", ["+9", "-1"]), capture=["one", "one", "two", "two"]
)


def test_flows_without_packets_in_the_view_still_count_as_units():
    units = UnitFlows.of(FlowArrays.from_dataset(FLOWS), "flow", "payload")
    assert units.count == 4
    assert units.unit.tolist() == [0, 2, 3]
    assert units.weight.tolist() == [1, 1, 1]


def test_flows_of_a_capture_share_its_weight():
    units = UnitFlows.of(FlowArrays.from_dataset(FLOWS), "capture", "payload")
    assert units.count == 2
    assert units.unit.tolist() == [0, 1, 1]
    assert units.weight.tolist() == [1, 0.5, 0.5]


def test_captures_must_be_known():
    arrays = FlowArrays.from_dataset(FLOWS)
    for captures in (None, np.array(["one", None, "two", "two"], dtype=object)):
        with pytest.raises(InputError, match="capture"):
            UnitFlows.of(replace(arrays, capture=captures), "capture", "payload")
    with pytest.raises(InputError, match="flow, capture"):
        UnitFlows.of(arrays, "host", "payload")
