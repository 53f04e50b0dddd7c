import numpy as np
import pytest
from made_flows import table

from hf_ntg.augmentation import choice as module
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
    choice = choose_method(late_key(24), per_class=60, candidates=("jitter", "shift"))
    assert choice.method == "shift"
    assert np.mean(choice.scores["shift"]) > np.mean(choice.scores["jitter"])
    assert choose_method(late_key(24), per_class=60, candidates=("jitter", "shift")) == choice


@pytest.mark.parametrize(
    ("gains", "chosen"),
    [
        ((0.10, 0.10, -0.01), "jitter"),  # behind in a fold
        ((0.01, 0.01, 0.005), "jitter"),  # ahead, by less than a point
        ((0.02, 0.01, 0.03), "shift"),
    ],
)
def test_another_candidate_has_to_be_ahead_in_every_fold(monkeypatch, gains, chosen):
    left = {"jitter": [0.5, 0.5, 0.5], "shift": [0.5 + gain for gain in gains]}
    monkeypatch.setattr(module, "_score", lambda known, held, method, per_class, seed: left[method].pop(0))
    assert choose_method(late_key(8), per_class=60, candidates=("jitter", "shift")).method == chosen


def test_nothing_to_compare_gives_the_first():
    one_each = late_key(10).take(np.array([0, 10]))
    choice = choose_method(one_each, per_class=20)
    assert choice.method == CANDIDATES[0]
    assert not any(choice.scores.values())
