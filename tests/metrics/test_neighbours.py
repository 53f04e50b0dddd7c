import numpy as np
import pytest
from datasets import concatenate_datasets
from made_flows import table, two_services
from scipy.spatial.distance import cdist

from hf_ntg.flows import FlowArrays
from hf_ntg.metrics.neighbours import coverage, embed_flows, membership_inference, nearest_distance
from hf_ntg.metrics.views import view_flows


def test_points_tell_directions_lengths_and_ends_apart():
    _, (view,) = view_flows(table(("a", ["+0", "-0", 1460, -365])), max_packets=5)
    assert embed_flows(view).tolist() == [[1, -1, 2, -1.5, 0]]


def test_nearest_known_answer():
    train = table(("a", ["+0", "+0"]), ("a", [1460, 1460]), ("b", ["+0", "-0"]))
    synthetic = table(("a", ["+0", "+0"]), ("a", [1460, "+0"]), ("b", ["+0", "+0"]), ("c", [5]))
    found = nearest_distance(train, synthetic, max_packets=2)
    assert found["per_class"] == {"a": 0.25, "b": 1}
    assert found["overall"] == pytest.approx(0.5)
    assert found["unjudged"] == ["c"]
    assert nearest_distance(train, table(("c", [5])))["overall"] is None


def test_copies_are_nearer_than_fresh_flows_and_noise_is_farther():
    train, fresh = two_services(60, seed=0), two_services(60, seed=1)
    noise = table(*((row["label"], [900, 3, 900]) for row in fresh))
    copied, real, strange = (nearest_distance(train, flows)["overall"] for flows in (train, fresh, noise))
    assert copied == 0 < real < strange
    beside = nearest_distance(train, noise, held_out=fresh)
    assert beside["held_out"]["overall"] == real
    assert beside["ratio"] == pytest.approx(strange / real)
    assert nearest_distance(train, fresh, held_out=train)["ratio"] is None  # copies are at no distance


def test_nearest_is_that_of_all_pairs():
    train, fresh = two_services(40, seed=0), two_services(40, seed=1)
    _, views = view_flows(train, fresh, max_packets=8)
    points = [embed_flows(view.take(view.classes == 1)) for view in views]
    expected = cdist(points[1], points[0], "cityblock").min(axis=1).mean() / 8
    assert nearest_distance(train, fresh, max_packets=8)["per_class"]["web"] == pytest.approx(expected)


def test_membership_of_copies_and_of_fresh_flows():
    rng = np.random.default_rng(0)
    train, unseen, fresh = (table(*(("a", rng.integers(0, 1460, 6).tolist()) for _ in range(200))) for _ in range(3))
    copied = membership_inference(unseen, train, train=train)
    assert copied["overall"] == 1
    assert copied["tpr_at_1_percent_fpr"] == 1
    honest = membership_inference(unseen, fresh, train=train)
    assert abs(honest["overall"] - 0.5) < 0.1
    assert honest["tpr_at_1_percent_fpr"] < 0.1
    assert copied["per_class"] == {"a": 1}
    assert copied["flows"] == [200, 200]
    assert membership_inference(unseen, fresh, train=table(("b", [1])))["overall"] is None


def drift(seed: int, capture: str, base: int, flows: int = 100):
    """Flows of a capture: random lengths in a range of its own."""
    rng = np.random.default_rng(seed)
    made = table(*(("a", rng.integers(base, base + 200, 6).tolist()) for _ in range(flows)))
    return made.add_column("capture", [capture] * flows)


def test_membership_compares_flows_of_the_same_captures():
    """A generator that knows its captures but no single flow is no danger, whatever flows of other captures say."""
    train, honest = drift(0, "monday", 200), drift(1, "monday", 200)
    other, held_back = drift(2, "tuesday", 900), drift(3, "monday", 200)
    assert membership_inference(other.remove_columns("capture"), honest, train)["overall"] == 1
    left_out = membership_inference(other, honest, train)
    assert left_out["overall"] is None
    assert "hold some of their flows back" in left_out["reason"]
    mixed = concatenate_datasets([other, held_back])
    found = membership_inference(mixed, honest, train)
    assert found["overall"] == pytest.approx(0.5, abs=0.1)
    assert found["flows"] == [100, 100]


def test_membership_compares_as_many_flows_of_each_class():
    train = table(*[("a", [k]) for k in range(1, 41)], *[("b", [k]) for k in range(1, 11)])
    unseen = table(*[("a", [k]) for k in range(41, 51)], *[("b", [k]) for k in range(41, 81)], ("c", [1]))
    found = membership_inference(unseen, train, train)
    assert found["flows"] == [20, 20]
    assert found["overall"] == 1
    assert set(found["per_class"]) == {"a", "b"}
    mixed = concatenate_datasets([train.select(range(0, 50, 3)), unseen.select(range(0, 50, 7))])
    seeds = [membership_inference(unseen, mixed, train, seed=seed) for seed in (0, 0, 1)]
    assert seeds[0] == seeds[1] != seeds[2]


def test_coverage_sees_a_collapse_that_density_does_not():
    real, same = two_services(80, seed=0), two_services(80, seed=1)
    one = FlowArrays.from_dataset(same).take(np.repeat([0, 80], 80))
    whole, collapsed = coverage(real, same), coverage(real, one)
    assert whole["coverage"] > 0.8
    assert collapsed["coverage"] < 0.5
    assert collapsed["precision"] == 1
    assert collapsed["density"] > 0.5
    only_mail = FlowArrays.from_dataset(same).take(np.concatenate([np.zeros(80, int), np.arange(80, 160)]))
    measures = coverage(real, only_mail)["measures"]
    for name in ("coverage", "recall"):
        assert measures[name]["mail"] < 0.5 < measures[name]["web"]
    assert measures["precision"]["mail"] == 1


def test_coverage_keeps_classes_apart():
    real = table(*(("a", [10 + k]) for k in range(9)), *(("b", [-500 - k]) for k in range(9)))
    swap = {"a": "b", "b": "a"}
    found = coverage(real, real.map(lambda row: {"label": swap[row["label"]]}))
    assert found["coverage"] == found["precision"] == found["recall"] == 0


def test_balls_of_small_classes_are_finite():
    """With five flows or fewer a ball reaches the farthest of them; a flow alone covers only its copies."""
    real = table(*(("a", [length]) for length in (10, 11, 12)), ("b", [10]), ("c", [10]))
    far = table(*(("a", [length]) for length in (900, 901, 902)), ("b", [900]), ("c", [10]))
    found = coverage(real, far)
    assert found["per_class"] == {"a": 0, "b": 0, "c": 1}
    assert found["measures"]["precision"] == found["measures"]["recall"] == {"a": 0, "b": 0, "c": 1}
    assert coverage(real, real)["coverage"] == 1


def test_coverage_of_single_flows():
    assert coverage(table(("a", [1])), table(("a", [1])))["overall"] is None


def test_coverage_by_hand():
    """Four points on a line and k = 1; the synthetic ones stand at two of them."""
    real = table(*(("a", [int(1460 * place**2)]) for place in (0, 0.1, 0.5, 0.6)))
    synthetic = table(*(("a", [int(1460 * place**2)]) for place in (0, 0, 0.1, 0.1)))
    found = coverage(real, synthetic, neighbours=1)
    assert found["coverage"] == 0.5
    assert found["precision"] == 1
    assert found["recall"] == 0.5
    assert found["density"] == pytest.approx(2)
