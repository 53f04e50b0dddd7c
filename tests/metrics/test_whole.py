import numpy as np
import pytest
from made_flows import table, two_services
from scipy.spatial.distance import cdist

from hf_ntg.generation import FlowGenerator
from hf_ntg.metrics.neighbours import embed_flows
from hf_ntg.metrics.views import view_flows
from hf_ntg.metrics.whole import c2st, correlation_difference, mmd
from hf_ntg.models.baselines import make_baseline


def slower(flows, factor: float):
    return flows.map(lambda row: {"inter_arrival_time": [factor * gap for gap in row["inter_arrival_time"]]})


def test_a_classifier_cannot_tell_fresh_flows_but_shifted_times():
    real, fresh = two_services(150, seed=0), two_services(150, seed=1)
    honest, shifted = c2st(real, fresh), c2st(real, slower(fresh, 100))
    assert abs(honest["overall"] - 0.5) < 0.1
    assert shifted["overall"] > 0.95
    assert shifted["times"]
    assert set(shifted["per_class"]) == {"mail", "web"}


def test_a_classifier_known_answers():
    """One packet that is always another gives a set away; the same flows on both sides cannot be distinguished."""
    real = table(*(("a", [10, -20]) for _ in range(40)))
    assert c2st(real, table(*(("a", [10, -21]) for _ in range(40))))["overall"] == 1
    assert c2st(real, real)["overall"] == 0.5


def test_without_times_a_classifier_goes_by_packets():
    real, fresh = two_services(60, seed=0), two_services(60, seed=1)
    bare = fresh.remove_columns("inter_arrival_time")
    found = c2st(real, bare)
    assert not found["times"]
    assert abs(found["overall"] - 0.5) < 0.15
    assert c2st(real.select(range(3)), fresh)["overall"] is None


def test_mmd_is_the_formula_and_none_between_like_sets():
    real, fresh = two_services(40, seed=0), two_services(30, seed=1)
    _, views = view_flows(real, fresh, max_packets=10)
    p, q = (embed_flows(view.take(view.classes == 0)) for view in views)
    width = cdist(p, p, "cityblock")[~np.eye(len(p), dtype=bool)].mean()

    def mean(a, b, apart):
        terms = [
            np.exp(-np.abs(x - y).sum() / width) for i, x in enumerate(a) for j, y in enumerate(b) if i != j or apart
        ]
        return sum(terms) / len(terms)

    found = mmd(real, fresh)
    assert found["per_class"]["mail"] == pytest.approx(mean(p, p, False) + mean(q, q, False) - 2 * mean(p, q, True))
    assert abs(found["overall"]) < 0.05
    assert mmd(real, table(*(("mail", [900]),) * 5, *(("web", [3]),) * 5))["overall"] > 0.3


def test_packets_drawn_one_by_one_lose_their_correlations_and_a_collapsed_class_its_spread():
    real, same = two_services(60, seed=0), two_services(60, seed=1)
    apart = FlowGenerator(make_baseline("independent").fit(same)).generate(label={"mail": 60, "web": 60})
    assert correlation_difference(real, apart)["overall"] > 1.5 * correlation_difference(real, same)["overall"]
    one_each = same.select([0] * 60 + [60] * 60)
    assert mmd(real, one_each)["overall"] > mmd(real, same)["overall"] + 0.05


def test_correlations_known_answer():
    real = table(("a", [1460, 1460]), ("a", ["+0", "+0"]))
    opposed = table(("a", [1460, "+0"]), ("a", ["+0", 1460]))
    constant = table(("a", [1460, 1460]))
    assert correlation_difference(real, real, max_packets=2)["overall"] == pytest.approx(0)
    assert correlation_difference(real, opposed, max_packets=2)["overall"] == pytest.approx(2)
    assert correlation_difference(real, constant, max_packets=2)["overall"] == pytest.approx(1)
    assert correlation_difference(constant, real, max_packets=2)["overall"] is None
