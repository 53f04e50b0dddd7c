import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_flows import table, two_services
from scipy.stats import ks_2samp, wasserstein_distance

from hf_ntg.metrics.distance import (
    flow_size_distance,
    kolmogorov_smirnov,
    length_distance,
    timing_distance,
    wasserstein,
)


def test_lengths_known_answer():
    real = table(("a", [0, 100]), ("b", [50]))
    synthetic = table(("a", [0, -300]), ("b", [60]))
    found = length_distance(real, synthetic)
    assert found["per_class"] == {"a": 100, "b": 10}
    assert found["overall"] == 55
    assert found["kolmogorov_smirnov"]["per_class"] == {"a": 0.5, "b": 1}


def test_mass_beyond_the_real_range_costs_its_distance():
    real, far = table(("a", [100])), table(("a", [40_000]))
    assert length_distance(real, far)["overall"] == 39_900


def test_times_in_decades():
    real = table(("a", [1, 1, 1], [0, 0.01, 0.1]))
    slower = table(("a", [1, 1, 1], [0, 0.1, 1]))
    assert timing_distance(real, slower)["overall"] == pytest.approx(1)
    assert timing_distance(real, real)["overall"] == 0


def test_first_packets_have_no_time_and_none_is_under_a_microsecond():
    real = table(("a", [1, 1], [0, 1e-6]))
    assert timing_distance(real, table(("a", [1, 1], [5, 0])))["overall"] == pytest.approx(0)


def test_a_set_without_times_is_not_measured():
    found = timing_distance(table(("a", [1, 1], [0, 1])), table(("a", [1, 1])))
    assert found["overall"] is None
    assert "synthetic" in found["reason"]


def test_sizes_of_flows():
    real = table(("a", [10, -20, -30], [0, 1, 2]))
    synthetic = table(("a", [10, -20], [0, 1]))
    found = flow_size_distance(real, synthetic)["quantities"]
    assert {name: distance["overall"] for name, distance in found.items()} == {
        "packets": 1,
        "bytes_up": 0,
        "bytes_down": 30,
        "duration": 2,
    }


def test_classes_of_one_side_only_are_named():
    flows = two_services(5, seed=0)
    found = length_distance(flows, flows.filter(lambda row: row["label"] == "web"))
    assert found["unjudged"] == ["mail"]
    assert found["overall"] == 0
    nothing = length_distance(table(("a", [1])), table(("b", [1])))
    assert nothing["overall"] is None


_SAMPLES = st.lists(st.integers(0, 30) | st.floats(-5, 5), min_size=1, max_size=40)


@pytest.mark.filterwarnings("ignore:ks_2samp")  # of the p-value
@given(_SAMPLES, _SAMPLES)
def test_distances_of_samples_are_scipys(one, other):
    one, other = np.array(one, dtype=float), np.array(other, dtype=float)
    assert wasserstein(one, other) == pytest.approx(wasserstein_distance(one, other), abs=1e-9)
    assert kolmogorov_smirnov(one, other) == pytest.approx(ks_2samp(one, other).statistic)


def test_positions_are_told_apart():
    real = table(("a", [10, -20, 30], [0, 1, 1]), ("b", [10], [0]))
    synthetic = table(("a", [10, -50], [0, 10]), ("b", [14], [0]))
    assert length_distance(real, synthetic, max_packets=4)["per_position"] == [2, 30, None, None]
    assert timing_distance(real, synthetic, max_packets=3)["per_position"] == [None, pytest.approx(1), None]


def test_planted_defects_move_each_distance():
    """Swapped packets leave the lengths of a class alone, not those at a position; slow flows show in times."""
    real, fresh = two_services(60, seed=0), two_services(60, seed=1)
    turned = fresh.map(lambda row: {"payload_length": row["payload_length"][::-1]})
    assert length_distance(real, turned)["overall"] == length_distance(real, fresh)["overall"]
    positions = [length_distance(real, flows)["per_position"] for flows in (fresh, turned)]
    assert positions[1][0] > positions[0][0] + 100
    slow = fresh.map(lambda row: {"inter_arrival_time": [100 * gap for gap in row["inter_arrival_time"]]})
    assert timing_distance(real, slow)["overall"] > timing_distance(real, fresh)["overall"] + 1
    assert timing_distance(real, slow)["per_position"][1] > 1
    assert flow_size_distance(real, slow)["overall"] > 1.5 * flow_size_distance(real, fresh)["overall"]
    cut = table(*((row["label"], [10]) for row in fresh))
    assert flow_size_distance(real, cut)["overall"] > 0.9
