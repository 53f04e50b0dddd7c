import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_flows import table, two_services
from scipy.spatial.distance import jensenshannon

from hf_ntg.errors import InputError
from hf_ntg.metrics.divergence import flow_jsd, flow_tv, hellinger, jensen_shannon, ngram_jsd, total_variation


def test_a_set_is_at_no_distance_from_itself():
    flows = two_services(20, seed=0)
    assert flow_jsd(flows, flows)["overall"] == 0


def test_known_answers_by_position():
    real = table(("a", [10, -20]), ("a", [10, -20]))
    synthetic = table(("a", [10, -20]), ("a", [10, -30]))
    found = flow_jsd(real, synthetic, max_packets=2)
    # At the second packet P = (1, 0) and Q = (1/2, 1/2): H(3/4, 1/4) - H(1/2, 1/2) / 2.
    expected = -(0.75 * np.log2(0.75) + 0.25 * np.log2(0.25)) - 0.5
    assert found["per_position"] == pytest.approx([0, expected])
    assert found["overall"] == pytest.approx(expected / 2)


@pytest.mark.parametrize(
    ("one", "other"),
    [([10], [11]), ([10], [-10]), (["+0"], ["-0"]), ([10], [10, 10])],
    ids=["length", "direction", "sign of an empty packet", "end"],
)
def test_each_part_of_a_packet_counts(one, other):
    found = flow_jsd(table(("a", one)), table(("a", other)), max_packets=2)
    assert max(found["per_position"]) == 1


def test_the_order_of_packets_and_the_number_of_flows():
    flows = two_services(40, seed=0)
    twice = two_services(40, seed=0).select([*range(80), *range(80)])
    shuffled = table(*((row["label"], row["payload_length"][::-1]) for row in flows))
    assert flow_jsd(flows, twice)["overall"] == pytest.approx(0)
    assert flow_jsd(flows, shuffled)["overall"] > 0.3
    assert flow_tv(flows, shuffled)["overall"] > flow_tv(flows, two_services(40, seed=1))["overall"] + 0.2


def test_classes_that_one_side_lacks():
    real = table(("a", [1]), ("b", [1]), ("b", [1]), ("b", [1]))
    found = flow_jsd(real, table(("a", [1]), ("c", [1])), max_packets=1)
    assert found["missing"] == ["b"]
    assert found["unjudged"] == ["c"]
    assert found["per_class"] == {"a": 0, "b": 1}
    assert found["overall"] == 0.5
    assert found["weighted"] == 0.75


def test_flows_without_a_label_are_left_out():
    real = table(("a", [1]), (None, [2]))
    assert flow_jsd(real, table(("a", [1])), max_packets=1)["per_class"] == {"a": 0}
    with pytest.raises(InputError, match="no labelled flow"):
        flow_jsd(real, table((None, [1])))


@pytest.mark.parametrize("distance", [jensen_shannon, total_variation, hellinger])
def test_a_group_that_only_one_side_has_is_as_far_as_can_be(distance):
    events = np.array([0, 0]), np.array([0])
    groups = np.array([0, 1]), np.array([0])
    assert distance(events, groups, 3).tolist() == [0, 1, 0]


def test_runs_that_only_one_side_has():
    """Flows of two packets that fill the view have no run of three."""
    real, short = table(("a", [1, 2, 3])), table(("a", [1, 2]))
    assert ngram_jsd(real, table(("a", [9])), max_packets=3)["per_length"]["3"] == 1
    cut = ngram_jsd(short, short, max_packets=2)
    assert cut["per_length"] == {"2": 0, "3": 0}


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=40),
    st.lists(st.integers(0, 6), min_size=1, max_size=40),
)
def test_against_scipy(p, q):
    p, q = np.array(p), np.array(q)
    zeros = [np.zeros(len(events), int) for events in (p, q)]
    shares = [np.bincount(events, minlength=7) / len(events) for events in (p, q)]
    assert jensen_shannon((p, q), zeros, 1)[0] == pytest.approx(jensenshannon(*shares, base=2) ** 2, abs=1e-9)
