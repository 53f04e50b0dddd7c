from collections import Counter

import numpy as np
import pytest
from datasets import Dataset

from hf_ntg import InputError, split_flows


def table(labels, captures=None):
    columns = {"label": labels, "payload_length": [[1]] * len(labels), "direction": [[1]] * len(labels)}
    return Dataset.from_dict(columns | ({} if captures is None else {"capture": captures}))


def test_random_split_serves_every_class(flows):
    parts = split_flows(flows, test_size=0.25, seed=1)
    assert len(parts["train"]) + len(parts["test"]) == len(flows)
    whole, test = Counter(flows["label"]), Counter(parts["test"]["label"])
    assert all(test[label] == round(0.25 * count) for label, count in whole.items())
    ids = [tuple(row) for part in parts.values() for row in zip(part["source_port"], part["packet_count"], strict=True)]
    assert Counter(ids) == Counter(zip(flows["source_port"], flows["packet_count"], strict=True))


def test_seed_decides_the_split(flows):
    one, same, other = (split_flows(flows, seed=seed)["test"]["source_port"] for seed in (0, 0, 1))
    assert one == same
    assert one != other


def test_capture_split_shares_no_capture(flows):
    parts = split_flows(flows, by="capture", seed=2)
    assert not set(parts["train"]["capture"]) & set(parts["test"]["capture"])
    assert 0.05 < len(parts["test"]) / len(flows) < 0.4


def test_class_of_one_capture_or_flow_stays_in_training():
    labels, captures = ["a"] * 6 + ["b"] * 3, ["x", "x", "y", "y", "z", "z", "w", "w", "w"]
    parts = split_flows(table(labels, captures), by="capture", test_size=0.3)
    assert set(parts["test"]["label"]) == {"a"}
    assert split_flows(table(["a"] * 5 + ["b"]))["train"]["label"].count("b") == 1


def test_classes_that_share_captures_both_keep_one_to_train_on():
    labels = ["a", "b", "a", "b", "a", "b"]
    parts = split_flows(table(labels, ["x", "x", "y", "y", "z", "z"]), by="capture", test_size=0.5)
    assert set(parts["train"]["label"]) == {"a", "b"}


def test_flows_without_a_label_are_split_like_a_class():
    parts = split_flows(table([None] * 10 + ["a"] * 10))
    assert Counter(parts["test"]["label"]) == {None: 2, "a": 2}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"test_size": 1.5}, "test_size"),
        ({"by": "day"}, "'day'"),
        ({"by": "capture"}, "'capture'"),
    ],
)
def test_split_that_cannot_be_made_is_refused(given, said):
    with pytest.raises(InputError, match=said):
        split_flows(table(["a"] * 5), **given)


def test_nothing_left_for_the_test_set_is_refused():
    with pytest.raises(InputError, match="no class"):
        split_flows(table(["a"] * 5, ["x"] * 5), by="capture")


def by_capture(table, folds=5, seed=0):
    return [split_flows(table, by="capture", fold=fold, folds=folds, seed=seed) for fold in range(folds)]


def test_folds_by_capture_test_every_capture_once(flows):
    tested = Counter()
    for parts in by_capture(flows, folds=3):
        assert not set(parts["train"]["capture"]) & set(parts["test"]["capture"])
        assert len(parts["train"]) + len(parts["test"]) == len(flows)
        tested.update(parts["test"]["capture"])
    assert tested == Counter(flows["capture"])


def test_a_class_of_two_captures_is_trained_on_in_every_fold():
    labels = ["a"] * 4 + ["b"] * 10 + ["c"] * 40
    captures = ["a0", "a0", "a0", "a1"] + [f"b{k % 5}" for k in range(10)] + [f"c{k % 10}" for k in range(40)]
    parts = by_capture(table(labels, captures))
    assert all(set(part["train"]["label"]) == {"a", "b", "c"} for part in parts)
    tested = Counter(label for part in parts for label in set(part["test"]["label"]))
    assert tested == {"a": 2, "b": 5, "c": 5}
    assert {Counter(part["test"]["label"])["c"] for part in parts} == {8}


@pytest.mark.parametrize("seed", range(6))
def test_captures_with_many_classes_spread_each_of_them(seed):
    """Twelve captures that hold four of eight classes each: every class is trained on in every fold of three."""
    rng = np.random.default_rng(seed)
    rows = [(f"c{label}", f"day{day}") for day in range(12) for label in rng.choice(8, 4, replace=False)]
    known = Counter(label for label, _ in rows)
    rows = [row for row in rows if known[row[0]] > 1 for _ in range(rng.integers(1, 6))]
    for parts in by_capture(table(*zip(*rows, strict=True)), folds=3, seed=seed):
        assert set(parts["train"]["label"]) == {label for label, _ in rows}
        assert len(set(parts["test"]["label"])) >= 6


def test_the_only_capture_of_a_class_is_always_trained_on():
    labels, captures = ["a"] * 6 + ["b"], ["x", "x", "y", "y", "z", "z", "x"]
    for parts in by_capture(table(labels, captures), folds=2):
        assert "x" in parts["train"]["capture"]
    with pytest.raises(InputError, match="only 2 captures can be tested"):
        by_capture(table(labels, captures), folds=3)


def test_folds_of_flows_test_every_flow_once(flows):
    tested = []
    for fold in range(4):
        parts = split_flows(flows, fold=fold, folds=4, seed=3)
        tested += zip(parts["test"]["source_port"], parts["test"]["packet_count"], strict=True)
        counts, whole = Counter(parts["test"]["label"]), Counter(flows["label"])
        assert all(abs(counts[label] - count / 4) < 1 for label, count in whole.items())
    assert Counter(tested) == Counter(zip(flows["source_port"], flows["packet_count"], strict=True))


def test_the_seed_deals_the_folds():
    labels, captures = ["a"] * 20, [f"c{k}" for k in range(20)]
    first, again, other = (by_capture(table(labels, captures), seed=seed)[0]["test"]["capture"] for seed in (0, 0, 1))
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"fold": 5, "folds": 5}, "fold 5 of 5: .* from 0 to 4"),
        ({"fold": 0, "folds": 1}, "at least 2 folds"),
        ({"fold": -1}, "fold -1"),
        ({"fold": 0, "folds": 9}, "only 5 flows can be tested"),
    ],
)
def test_folds_that_cannot_be_made_are_refused(given, said):
    with pytest.raises(InputError, match=said):
        split_flows(table(["a"] * 5 + ["b"]), **given)
