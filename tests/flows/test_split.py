from collections import Counter

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
