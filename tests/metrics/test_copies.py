import numpy as np
import pytest
from datasets import concatenate_datasets
from made_flows import table, two_services

from hf_ntg.metrics.copies import once_seen_copies


def copied(train, flows, **options) -> float:
    """Share of `flows` that repeat any training flow."""
    found = once_seen_copies(flows, flows, train, **options)
    return found["once_seen"] + found["recurring"]


def test_known_answer():
    train = table(("a", [1, 2]), ("a", [7]), ("a", [7]), ("b", [3]))
    synthetic = table(("a", [1, 2]), ("a", [7]), ("b", [1, 2]), ("b", [3]), ("b", [3]))
    unseen = table(("a", [1, 2]), ("a", [7]), ("a", [7]), ("b", [4]))
    found = once_seen_copies(unseen, synthetic, train)
    assert found["once_seen"] == pytest.approx(3 / 5)  # (1, 2) of a, and (3) of b twice; (1, 2) of b is new
    assert found["recurring"] == pytest.approx(1 / 5)
    assert found["unseen"]["once_seen"] == 1 / 4
    assert found["unseen"]["recurring"] == 2 / 4
    assert found["overall"] == pytest.approx(100 * (3 / 5 - 1 / 4))
    assert found["per_class"] == pytest.approx({"a": 100 * (1 / 2 - 1 / 3), "b": 100 * 2 / 3})
    assert found["train_once_seen"] == 0.5
    assert found["duplicates"] == pytest.approx(0.2)
    assert found["duplicates_per_class"] == pytest.approx({"a": 0, "b": 1 / 3})


def test_what_makes_two_flows_the_same():
    train = table(("a", ["+0", 2]))
    for packets, same in (
        (["+0", 2], True),
        (["-0", 2], False),
        (["+0", -2], False),
        (["+0"], False),
        (["+0", 2, 3], False),
    ):
        assert copied(train, table(("a", packets))) == same
    assert copied(train, table(("a", ["+0", 2, 3])), max_packets=2) == 1
    assert copied(train, table(("b", ["+0", 2]))) == 0


def test_a_cut_makes_flows_recur():
    train = table(("a", [1, 2]), ("a", [1, 3]))
    flows = table(("a", [1, 2]))
    assert once_seen_copies(flows, flows, train)["once_seen"] == 1
    assert once_seen_copies(flows, flows, train, max_packets=1)["recurring"] == 1


def lines(seed: int, flows: int = 1_000):
    """Flows of one packet of 2,000 lengths: about 60 % of them occur once, and fresh ones repeat these by chance."""
    lengths = np.random.default_rng(seed).integers(1, 2_001, flows)
    return table(*(("a", [length]) for length in lengths.tolist()))


def test_fresh_real_flows_have_no_excess_and_copies_have():
    train, unseen, fresh = (lines(seed) for seed in range(3))
    lengths = [row["payload_length"][0] for row in train]
    once = [k for k, length in enumerate(lengths) if lengths.count(length) == 1]
    by_chance = once_seen_copies(unseen, fresh, train)
    assert by_chance["once_seen"] > 0.2
    assert abs(by_chance["overall"]) < 5
    assert once_seen_copies(unseen, train.select(once), train)["overall"] > 60
    more_than_once = train.select(sorted(set(range(len(train))) - set(once)))
    assert once_seen_copies(unseen, more_than_once, train)["recurring"] == 1
    assert once_seen_copies(unseen, more_than_once, train)["overall"] < -20


def test_the_score_does_not_grow_with_the_number_of_synthetic_flows():
    train, unseen, fresh = (lines(seed, flows=200) for seed in range(3))
    thrice = concatenate_datasets([fresh] * 3)
    found, more = (once_seen_copies(unseen, flows, train) for flows in (fresh, thrice))
    assert more["overall"] == pytest.approx(found["overall"])
    assert more["duplicates"] > found["duplicates"] + 0.2


def test_a_collapsed_class_shows_in_its_duplicates():
    train = two_services(50, seed=0)
    found = once_seen_copies(train, train.select([0] * 50 + list(range(50, 100))), train)
    assert found["duplicates_per_class"]["mail"] == 0.98
    assert found["duplicates_per_class"]["web"] < 0.9
