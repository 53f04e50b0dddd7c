import pytest
from datasets import concatenate_datasets
from made_flows import table, two_services

from hf_ntg.metrics.novelty import copy_rate


def test_known_answer():
    train = table(("a", [1, 2]), ("b", [3]))
    synthetic = table(("a", [1, 2]), ("a", [1, 2]), ("b", [1, 2]), ("b", [4]))
    found = copy_rate(train, synthetic)
    assert found["overall"] == 0.5  # the third has another label
    assert found["per_class"] == {"a": 1, "b": 0}
    assert found["duplicates"] == 0.25
    assert found["duplicates_per_class"] == {"a": 0.5, "b": 0}
    assert found["held_out"] is None


def test_what_makes_two_flows_the_same():
    train = table(("a", ["+0", 2]))
    for packets, same in (
        (["+0", 2], True),
        (["-0", 2], False),
        (["+0", -2], False),
        (["+0"], False),
        (["+0", 2, 3], False),
    ):
        assert copy_rate(train, table(("a", packets)))["overall"] == same
    assert copy_rate(train, table(("a", ["+0", 2, 3])), max_packets=2)["overall"] == 1


def test_held_out_flows_stand_beside():
    train, test = two_services(50, seed=0), two_services(50, seed=1)
    found = copy_rate(train, train, held_out=test)
    assert found["overall"] == 1
    assert 0 < found["held_out"]["overall"] < 1
    assert found["held_out"]["overall"] == pytest.approx(copy_rate(train, test)["overall"])


def test_copied_flows_and_a_collapsed_class_show():
    train, fresh = two_services(50, seed=0), two_services(50, seed=1)
    new = fresh.map(lambda row: {"payload_length": [length + 1 for length in row["payload_length"]]})
    mixed = concatenate_datasets([train.select(range(25)), new.select(range(25, 100))])
    assert copy_rate(train, new)["overall"] == 0
    assert copy_rate(train, mixed)["per_class"] == {"mail": 0.5, "web": 0}
    collapsed = copy_rate(train, new.select([0] * 50 + list(range(50, 100))))
    assert collapsed["duplicates_per_class"]["mail"] == 0.98
    assert collapsed["duplicates"] > copy_rate(train, new)["duplicates"] + 0.1
