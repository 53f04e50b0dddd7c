import numpy as np
from made_flows import table

from hf_ntg.augmentation.choice import CANDIDATES, choose_method
from hf_ntg.flows.arrays import FlowArrays


def late_key(flows_each):
    """Two classes that differ in one length, which a varying number of other packets precedes."""
    rng = np.random.default_rng(0)
    made = []
    for label, key in (("a", 600), ("b", 640)):
        for _ in range(flows_each):
            start = [100] * int(rng.integers(0, 6))
            made.append((label, [*start, key, *[100] * int(rng.integers(0, 3))]))
    return FlowArrays.from_dataset(table(*made))


def test_the_best_of_the_folds_is_chosen():
    # Strong changes of the lengths hide what tells the classes apart; shifts show it at other positions.
    choice = choose_method(late_key(12), per_class=60, candidates=("jitter", "shift"))
    assert choice.method == "shift"
    assert np.mean(choice.scores["shift"]) > np.mean(choice.scores["jitter"])
    assert choose_method(late_key(12), per_class=60, candidates=("jitter", "shift")) == choice


def test_nothing_to_compare_gives_the_first():
    one_each = late_key(10).take(np.array([0, 10]))
    choice = choose_method(one_each, per_class=20)
    assert choice.method == CANDIDATES[0]
    assert not any(choice.scores.values())
