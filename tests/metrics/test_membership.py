import numpy as np
import pytest
from made_flows import table, two_services

from hf_ntg.flows import FlowArrays
from hf_ntg.metrics.membership import attack_success, likelihood_membership
from hf_ntg.models.baselines import NGram


def test_success_known_answer():
    members, others = np.array([4.0, 3.0, 1.0, 1.0]), np.array([2.0, 1.0])
    found = attack_success(["a", "b"], members, others, np.array([0, 0, 1, 1]), np.array([0, 1]))
    assert found["overall"] == pytest.approx(5 / 8)  # of 8 pairs: (4, 2), (4, 1), (3, 2), (3, 1) and two ties of a half
    assert found["per_class"] == {"a": 1, "b": 0.5}
    assert found["tpr_at_1_percent_fpr"] == pytest.approx(0.5)  # 4 and 3 are above every other


def test_one_false_alarm_in_a_hundred():
    others = np.arange(100.0)
    members = np.array([98.5, 97.5, 200.0, -1.0])
    found = attack_success(["a"], members, others, np.zeros(4, int), np.zeros(100, int))
    assert found["tpr_at_1_percent_fpr"] == pytest.approx(0.5)  # at a bar of 98.5: one other, two members


def lines(seed: int, flows: int = 200):
    """Flows of random packets: nothing but having seen one makes it likely."""
    rng = np.random.default_rng(seed)
    return table(*(("a", rng.integers(0, 1460, 6).tolist()) for _ in range(flows)))


def test_a_model_that_remembers_is_found_out_and_one_that_has_not_learned_is_not():
    train, unseen = lines(0), lines(1)
    remembers, knows_nothing = NGram(4).fit(train), NGram(4).fit(lines(2))
    found = likelihood_membership(unseen, train, remembers.log_likelihood)
    assert found["overall"] > 0.99
    assert found["calibrated"]["overall"] > 0.99
    assert found["calibrated"]["tpr_at_1_percent_fpr"] > 0.9
    honest = likelihood_membership(unseen, train, knows_nothing.log_likelihood)
    assert honest["overall"] == pytest.approx(0.5, abs=0.1)
    assert honest["tpr_at_1_percent_fpr"] < 0.1


def test_calibration_takes_out_what_is_easy_about_a_flow():
    """Unseen flows are short and so more likely under any model; only against a reference does memory show."""
    train = lines(0)
    unseen = table(*(("a", row["payload_length"][:2]) for row in lines(1)))
    remembers = NGram(4).fit(train)
    reference = NGram(1).fit(lines(2)).log_likelihood
    found = likelihood_membership(unseen, train, remembers.log_likelihood, reference)
    assert found["calibrated"]["overall"] > found["overall"]


def test_the_scorer_is_asked_about_shared_classes_only():
    train, unseen = two_services(20, seed=0), two_services(20, seed=1)
    only_web = train.filter(lambda row: row["label"] == "web")
    asked = []

    def scorer(flows: FlowArrays) -> np.ndarray:
        asked.extend(flows.label)
        return np.zeros(len(flows))

    found = likelihood_membership(unseen, only_web, scorer)
    assert set(asked) == {"web"}
    assert found["overall"] == 0.5
    assert found["per_class"] == {"web": 0.5}
    assert likelihood_membership(unseen, table(("chat", [1])), scorer)["overall"] is None


def test_the_seed_draws_the_reference():
    train, unseen = two_services(20, seed=0), two_services(20, seed=1)
    scorer = NGram(2).fit(train).log_likelihood
    first, again, other = (likelihood_membership(unseen, train, scorer, seed=seed)["calibrated"] for seed in (1, 1, 2))
    assert first == again
    assert first["overall"] != other["overall"]


def test_flows_of_other_captures_are_not_asked_about():
    """Any model finds flows of its training captures likelier: that is no memory."""
    train, unseen = lines(0), lines(1)
    scorer = NGram(2).fit(train).log_likelihood
    other = unseen.add_column("capture", ["tuesday"] * len(unseen))
    train = train.add_column("capture", ["monday"] * len(train))
    found = likelihood_membership(other, train, scorer)
    assert found["overall"] is None
    assert "hold some of their flows back" in found["reason"]
    half = unseen.add_column("capture", ["monday", "tuesday"] * (len(unseen) // 2))
    found = likelihood_membership(half, train, scorer)
    assert found["flows"] == [len(unseen) // 4] * 2  # of the 100 of monday, half fit the reference


def test_the_compared_sets_have_one_size():
    train, unseen = two_services(50, seed=0), two_services(20, seed=1)
    scorer = NGram(2).fit(train).log_likelihood
    assert likelihood_membership(unseen, train, scorer)["flows"] == [20, 20]
