import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from made_flows import table, two_services

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.study.axes import classifiers
from hf_ntg.study.axes.classifiers import CLASSIFIERS, train_and_test
from hf_ntg.study.axes.networks import Schedule


@pytest.fixture(autouse=True)
def short_training(monkeypatch):
    monkeypatch.setattr(classifiers, "Schedule", partial(Schedule, steps=150))


@pytest.fixture(scope="module")
def services():
    return [FlowArrays.from_dataset(two_services(40, seed)) for seed in (0, 1)]


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_what_can_be_told_apart_is(services, name):
    training, test = services
    found = train_and_test(name, test, training, 8, seed=0)
    assert found["macro_f1"] == found["accuracy"] == 1
    assert sorted(found["confusion"]) == [["mail", "mail", 40], ["web", "web", 40]]
    assert ("time" in found["inputs"]) == (name == "cnn")
    assert train_and_test(name, test, training, 8, seed=0) == found


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_swapped_labels_teach_the_wrong_thing(services, name):
    training, test = services
    labels = np.where(training.label == "web", "mail", "web").astype(object)
    wrong = replace(training, label=labels)
    found = train_and_test(name, test, wrong, 8, seed=0)
    assert found["macro_f1"] == 0
    assert sorted(found["confusion"]) == [["mail", "web", 40], ["web", "mail", 40]]


def test_only_times_tell_these_apart_and_only_the_network_sees_them():
    def flows(seed):
        rng = np.random.default_rng(seed)
        made = [
            (name, [5, -5, 5], [0, *(gap * rng.lognormal(0, 0.1, 2))]) for name, gap in [("a", 1e-3), ("b", 1)] * 40
        ]
        return FlowArrays.from_dataset(table(*made))

    scores = {name: train_and_test(name, flows(1), flows(0), 4, seed=0)["macro_f1"] for name in CLASSIFIERS}
    assert scores["cnn"] == 1
    assert max(scores["random_forest"], scores["gradient_boosting"]) < 0.7


def test_one_flow_of_a_class_is_enough_to_run(services):
    training, test = services
    few = training.take(np.array([0, 40, 41]))
    for name in CLASSIFIERS:
        assert 0 <= train_and_test(name, test, few, 8, seed=0)["macro_f1"] <= 1


def test_unknown_classifiers_and_absent_packages(services, monkeypatch):
    with pytest.raises(InputError, match="no classifier 'oracle'; choose one of random_forest"):
        train_and_test("oracle", *services, 8, seed=0)
    monkeypatch.setitem(sys.modules, "cesnet_models.models", None)
    with pytest.raises(InputError, match=r"pip install 'hf-ntg\[cesnet\]'"):
        train_and_test("mm_cesnet_v2", *services, 8, seed=0)


@pytest.mark.interop
def test_the_network_of_cesnet_models(services):
    pytest.importorskip("cesnet_models")
    training, test = services
    found = train_and_test("mm_cesnet_v2", test, training, 8, seed=0)
    assert found["macro_f1"] > 0.9
    assert found["inputs"] == ["direction and length", "time", "statistics of the flow"]
