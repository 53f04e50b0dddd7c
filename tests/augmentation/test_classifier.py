import numpy as np
import pytest
from made_flows import table, two_services
from sklearn.ensemble import RandomForestClassifier

from hf_ntg import InputError
from hf_ntg.augmentation import FewFlowsClassifier
from hf_ntg.flows.arrays import FlowArrays


def moved_key(flows_each, seed):
    """Two classes that differ in a length that is near 600 or near 900, at any position."""
    rng = np.random.default_rng(seed)
    made = []
    for label, key in (("a", 600), ("b", 900)):
        for _ in range(flows_each):
            packets = rng.integers(40, 300, 8).tolist()
            packets[int(rng.integers(0, 8))] = key + int(rng.integers(-20, 20))
            made.append((label, packets))
    return table(*made)


def test_a_length_counts_wherever_it_is():
    few, test = moved_key(8, 0), moved_key(200, 1)
    model = FewFlowsClassifier(seed=0).fit(few)
    assert model.labels == ["a", "b"]
    assert np.mean(model.predict(test) == np.array(test["label"])) > 0.95
    assert model.predict_proba(FlowArrays.from_dataset(test)).shape == (400, 2)
    again = FewFlowsClassifier(seed=0).fit(few).predict_proba(test)
    assert (again == model.predict_proba(test)).all()


def test_direction_is_part_of_a_length():
    few = table(*[("up", [300, -40]), ("down", [40, -300])] * 4)
    asked = table(("up", [301, -41]), ("down", [41, -301]))
    assert FewFlowsClassifier().fit(few).predict(asked).tolist() == ["up", "down"]


def turned_pair(flows_each, seed):
    """Two classes of the same lengths, in one of which 60 follows 900, and in the other 900 follows 60."""
    rng = np.random.default_rng(seed)
    made = []
    for label, pair in (("a", [900, 60]), ("b", [60, 900])):
        for _ in range(flows_each):
            packets = [length for gap in rng.integers(1, 4, 5) for length in [300] * int(gap) + pair]
            made.append((label, packets[int(rng.integers(0, 5)) :]))
    return table(*made)


def test_the_order_of_neighbours_counts_wherever_they_are():
    test = turned_pair(200, 1)
    model = FewFlowsClassifier(seed=0).fit(turned_pair(12, 0))
    assert np.mean(model.predict(test) == np.array(test["label"])) > 0.95  # forests alone: 0.88


def test_one_class_is_certain():
    flows = two_services(3, 0).map(lambda row: {"label": "only"})
    model = FewFlowsClassifier().fit(flows)
    assert model.predict_proba(flows).tolist() == [[1.0]] * len(flows)


def test_flows_need_labels():
    flows = two_services(2, 0)
    with pytest.raises(InputError, match="some have no label"):
        FewFlowsClassifier().fit(flows.map(lambda row: {"label": None}))


def test_five_lines_from_few_flows_to_a_better_classifier():
    few, test = moved_key(6, 0), moved_key(200, 1)

    from hf_ntg import FewFlowsClassifier, augment

    more = augment(few, per_class=100)
    model = FewFlowsClassifier().fit(more)
    labels = model.predict(test)
    score = (labels == test["label"]).mean()

    known, asked = (FlowArrays.from_dataset(flows).padded("signed_length", 10) for flows in (few, test))
    forest = RandomForestClassifier(random_state=0).fit(known, few["label"])
    assert score > (forest.predict(asked) == test["label"]).mean() + 0.2
