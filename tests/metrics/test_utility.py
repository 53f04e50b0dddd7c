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


def test_a_class_never_taught_scores_nothing():
    test = two_services(10, seed=0)
    only_web = test.filter(lambda row: row["label"] == "web")
    found = tstr(test, only_web)
    assert found["missing"] == ["mail"]
    assert found["per_class"]["mail"] == 0
    assert found["overall"] == pytest.approx((2 / 3) / 2)  # "web" for all: precision 1/2, recall 1


def test_a_class_not_tested_may_still_be_named():
    test = table(*[("a", [10])] * 4)
    taught = table(*[("a", [10])] * 2, *[("b", [10])] * 6)
    assert tstr(test, taught)["overall"] == 0


def test_gradient_boosting_and_unknown_classifiers():
    test, train = two_services(30, seed=0), two_services(30, seed=1)
    assert tstr(test, train, classifier="gradient_boosting")["overall"] == 1
    with pytest.raises(InputError, match="random_forest"):
        tstr(test, train, classifier="oracle")


def test_the_same_seed_gives_the_same_score():
    test, train = two_services(20, seed=0), two_services(20, seed=1)
    assert tstr(test, train, seed=3) == tstr(test, train, seed=3)
