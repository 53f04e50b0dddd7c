import numpy as np
import pytest
from made_flows import table, two_services

from hf_ntg.errors import InputError
from hf_ntg.metrics.utility import tstr


def test_classes_that_lengths_tell_apart():
    found = tstr(two_services(30, seed=0), two_services(30, seed=1))
    assert found["overall"] == found["accuracy"] == found["weighted_f1"] == 1
    assert found["real"] is None


def test_collapsed_and_swapped_classes():
    test, train = two_services(30, seed=0), two_services(30, seed=1)
    collapsed = table(*((row["label"], [10]) for row in train))
    swap = {"mail": "web", "web": "mail"}
    swapped = train.map(lambda row: {"label": swap[row["label"]]}, desc=None)
    assert tstr(test, collapsed, train=train)["gap_points"] > 40
    assert tstr(test, swapped)["overall"] == 0


def test_a_class_never_trained_on_scores_nothing():
    test = two_services(10, seed=0)
    only_web = test.filter(lambda row: row["label"] == "web")
    found = tstr(test, only_web)
    assert found["missing"] == ["mail"]
    assert found["per_class"]["mail"] == 0
    assert found["overall"] == pytest.approx((2 / 3) / 2)  # "web" for all: precision 1/2, recall 1


def test_a_class_not_tested_may_still_be_named():
    test = table(*[("a", [10])] * 4)
    training = table(*[("a", [10])] * 2, *[("b", [10])] * 6)
    assert tstr(test, training)["overall"] == 0


def test_gradient_boosting_and_unknown_classifiers():
    test, train = two_services(30, seed=0), two_services(30, seed=1)
    assert tstr(test, train, classifier="gradient_boosting")["overall"] == 1
    with pytest.raises(InputError, match="random_forest"):
        tstr(test, train, classifier="oracle")


def services(seed: int, flows_each: int = 60):
    """Two classes whose lengths overlap, so that classifiers err and differ."""
    rng = np.random.default_rng(seed)
    return table(
        *(
            ("a" if k % 2 else "b", rng.normal(500 + 30 * (k % 2), 60, 3).astype(int).tolist())
            for k in range(2 * flows_each)
        )
    )


def test_the_seed_decides_the_classifier_and_the_draws():
    test, train = services(0), services(1)
    first, again, other = (tstr(test, train, seed=seed) for seed in (3, 3, 4))
    assert first == again
    assert first["overall"] != other["overall"]
    assert 0.5 < first["overall"] < 1


def test_an_empty_packet_is_not_the_end_of_a_flow():
    def flows():
        return table(*[("ends", [100])] * 20, *[("goes on", [100, "+0"])] * 20, *[("answers", [100, "-0"])] * 20)

    assert tstr(flows(), flows())["overall"] == 1


def test_the_interval_holds_the_score_and_shrinks_with_more_flows():
    train = services(0, 200)
    few, many = (tstr(services(1, size), train) for size in (20, 500))
    for found in (few, many):
        low, high = found["interval"]
        assert low < found["overall"] < high
    assert few["interval"][1] - few["interval"][0] > 2 * (many["interval"][1] - many["interval"][0])
    assert (many["interval_by"], many["interval_units"]) == ("flows", 1_000)


def test_captures_that_differ_widen_the_interval():
    """Of ten captures the classifier gets half right: single flows hide how little ten captures say."""
    good, bad = [("a", [10])] * 20, [("a", [900])] * 20
    test = table(*(good + bad) * 5, *[("b", [900])] * 200)
    training = table(*[("a", [10])] * 20, *[("b", [900])] * 20)
    by_flow = tstr(test, training)
    captures = [f"c{k // 20}" for k in range(200)] + [f"d{k // 20}" for k in range(200)]
    by_capture = tstr(test.add_column("capture", captures), training)
    assert by_capture["overall"] == by_flow["overall"]
    assert (by_capture["interval_by"], by_capture["interval_units"]) == ("captures", 20)
    widths = [found["interval"][1] - found["interval"][0] for found in (by_flow, by_capture)]
    assert widths[1] > 2 * widths[0]


def test_the_gap_has_an_interval_of_its_own_draws():
    test, train, worse = services(0, 200), services(1), table(*[("a", [10])] * 5, *[("b", [10])] * 5)
    found = tstr(test, worse, train=train)
    low, high = found["gap_interval"]
    assert 0 < low < found["gap_points"] < high
    same = tstr(test, train, train=train)
    assert same["gap_interval"] == [0, 0]
