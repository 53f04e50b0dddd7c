import numpy as np
import pytest
from made_flows import table, two_services

from hf_ntg.metrics.divergence import flow_tv, ngram_jsd
from hf_ntg.metrics.order import autocorrelation_distance, burst_distance, direction_distance


def test_total_variation_known_answer():
    real = table(("a", [10, -20]), ("a", [10, -20]), ("a", [10]), ("a", [10]))
    synthetic = table(("a", [10, -20]), ("a", [10, -30]))
    found = flow_tv(real, synthetic, max_packets=2)
    assert found["per_position"] == [0, 0.5]
    assert found["overall"] == 0.25


def test_runs_see_what_positions_do_not():
    """Both sets have each packet at each position equally often; only what follows what differs."""
    real = table(("a", [1, 1, 1]), ("a", [2, 2, 2]))
    mixed = table(("a", [1, 2, 1]), ("a", [2, 1, 2]))
    assert flow_tv(real, mixed, max_packets=3)["overall"] == 0
    assert ngram_jsd(real, mixed, max_packets=3)["per_length"] == {"2": 1, "3": 1}
    assert ngram_jsd(real, real)["overall"] == 0


def test_a_run_may_close_with_the_end():
    found = ngram_jsd(table(("a", [1, 2])), table(("a", [1, 2, 2])), max_packets=4)
    # Runs of two: (1 2), (2 end) against (1 2), (2 2), (2 end).
    p, q = np.array([1 / 2, 1 / 2, 0]), np.array([1 / 3, 1 / 3, 1 / 3])
    terms = [share * np.log2(share / ((p + q) / 2), where=share > 0, out=np.zeros(3)) for share in (p, q)]
    assert found["per_length"]["2"] == pytest.approx(np.sum(terms) / 2)
    assert ngram_jsd(table(("a", [1])), table(("a", [1])), max_packets=1)["overall"] == 0


def test_direction_pairs_known_answer():
    real, synthetic = table(("a", [1, 1, -1, -1, -1])), table(("a", [1, -1, 1, -1, 1]))
    found = direction_distance(real, synthetic)
    assert found["overall"] == pytest.approx(0.75)  # stays: 3 of 4 against none; up to down: 1 of 4 against 2 of 4
    assert found["real"]["persistence"] == {"a": 0.75}
    assert found["synthetic"]["persistence"] == {"a": 0}
    assert found["real"]["transitions"] == {"a": [[0.5, 0.5], [0, 1]]}


def test_bursts_known_answer():
    real = table(("a", [10, -20, -30, 5], [0, 1, 0.1, 1]))
    synthetic = table(("a", [10, -20, 5], [0, 1, 10]))
    found = burst_distance(real, synthetic)["quantities"]
    assert found["count"]["overall"] == 0  # three each
    assert found["packets"]["overall"] == pytest.approx(1 / 3)  # 1, 2, 1 against 1, 1, 1
    assert found["bytes"]["overall"] == pytest.approx(10)  # 10, 50, 5 against 10, 20, 5
    assert found["gap"]["overall"] == pytest.approx(0.5)  # 1 s, 1 s against 1 s, 10 s


def test_bursts_do_not_run_from_flow_to_flow():
    found = burst_distance(table(("a", [1, 1]), ("a", [1])), table(("a", [1, 1]), ("a", [1])))
    assert found["overall"] == 0
    assert burst_distance(table(("a", [1]), ("a", [1])), table(("a", [1, 1])))["quantities"]["packets"]["overall"] == 1
    assert "gap" not in found["quantities"]


def test_autocorrelation_known_answer():
    alternating = table(*[("a", [100, 200] * 3)] * 4)
    steady = table(("a", [100] * 6), ("a", [200] * 6))
    found = autocorrelation_distance(alternating, steady)
    assert found["real"]["signed_length"]["a"] == pytest.approx([-1, 1, -1])
    assert found["synthetic"]["signed_length"]["a"] == pytest.approx([1, 1, 1])
    assert found["overall"] == pytest.approx((2 + 0 + 2) / 3)


def test_an_undefined_autocorrelation_is_left_out():
    found = autocorrelation_distance(table(("a", [7, 7, 7])), table(("a", [7, 7, 7])))
    assert found["overall"] is None
    assert found["real"]["signed_length"]["a"] == [None, None, None]


def test_shuffled_packets_show_in_every_measure_of_order():
    real, same = two_services(60, seed=0), two_services(60, seed=1)
    rng = np.random.default_rng(0)
    rows = []
    for row in same:
        order = rng.permutation(len(row["direction"]))
        packets = [f"{'+-'[row['direction'][k] < 0]}{row['payload_length'][k]}" for k in order]
        rows.append((row["label"], packets, [row["inter_arrival_time"][k] for k in order]))
    shuffled = table(*rows)
    for metric in (ngram_jsd, direction_distance, burst_distance, autocorrelation_distance):
        assert metric(real, shuffled)["overall"] > 2 * metric(real, same)["overall"], metric.__name__
