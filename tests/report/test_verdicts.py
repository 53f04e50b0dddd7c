import copy

import pytest
from made_flows import two_services

from hf_ntg.generation import FlowGenerator
from hf_ntg.metrics import METRICS, evaluate_flows
from hf_ntg.models.baselines import make_baseline
from hf_ntg.report import write_report
from hf_ntg.report.terms import PLAIN_WORDS
from hf_ntg.report.verdicts import Verdict, advice, in_short, verdicts


@pytest.fixture(scope="module")
def result():
    train = two_services(60, seed=0)
    made = FlowGenerator(make_baseline("4-gram").fit(train)).generate(120, seed=1)
    return evaluate_flows(train, two_services(30, seed=1), made, baselines=("4-gram",))


def with_scores(result, **overall):
    """The result with other ``overall`` scores of columns, given as ``metric={column: score}``."""
    changed = copy.deepcopy(dict(result))
    for name, scores in overall.items():
        for column, score in scores.items():
            changed["metrics"][name]["columns"][column]["overall"] = score
    return changed


def level_of(result, question):
    (found,) = [verdict for verdict in verdicts(result) if question in verdict.question]
    return found.level


@pytest.mark.parametrize(
    ("question", "metric", "real", "good", "fair", "poor"),
    [
        ("single packets", "flow_jsd", 0.30, 0.33, 0.45, 0.46),
        ("follow each other", "ngram_jsd", 0.50, 0.40, 0.70, 0.80),
        ("times", "timing_distance", 0.20, 0.22, 0.25, 0.40),
        ("learn from", "tstr", 0.90, 0.88, 0.81, 0.79),
        ("tell from", "c2st", 0.60, 0.55, 0.68, 0.80),
        ("new?", "once_seen_copies", 0.0, 0.9, 4.0, 6.0),
    ],
)
def test_a_level_for_each_question(result, question, metric, real, good, fair, poor):
    for level, score in (("good", good), ("fair", fair), ("poor", poor)):
        assert level_of(with_scores(result, **{metric: {"real": real, "synthetic": score}}), question) == level
    unknown = with_scores(result, **{metric: {"synthetic": None}})
    assert level_of(unknown, question) == "unknown"
    assert any("Not measured" in verdict.answer for verdict in verdicts(unknown))


def test_who_loses_to_the_ngram_is_told_so_and_what_to_do(result, tmp_path):
    names = ("flow_jsd", "ngram_jsd", "timing_distance")
    worse = {name: {"real": 0.1, "synthetic": 0.6, "4-gram": 0.2} for name in names}
    worse |= {
        "tstr": {"real": 0.9, "synthetic": 0.3, "4-gram": 0.8},
        "c2st": {"real": 0.5, "synthetic": 0.9, "4-gram": 0.6},
    }
    lost = with_scores(result, **worse)
    assert level_of(lost, "better than a 4-gram") == "poor"
    (line,) = advice(lost)
    assert "Train longer" in line
    assert "make_baseline('4-gram')" in line
    page = write_report(lost, tmp_path)["html"].read_text()
    assert "What to do" in page
    assert '<li class="poor">' in page
    better = {name: {"real": 0.1, "synthetic": 0.1, "4-gram": 0.5} for name in names}
    better |= {
        "tstr": {"real": 0.9, "synthetic": 0.9, "4-gram": 0.8},
        "c2st": {"real": 0.5, "synthetic": 0.5, "4-gram": 0.6},
    }
    assert advice(with_scores(result, **better)) == []


def test_copies_call_for_advice(result):
    assert any("saw once" in line for line in advice(with_scores(result, once_seen_copies={"synthetic": 30.0})))


def test_every_metric_has_plain_words():
    assert {metric.name for metric in METRICS} <= PLAIN_WORDS.keys()


def test_all_verdicts_in_one_sentence():
    found = [Verdict(question, level, "", "") for question, level in (("A?", "good"), ("B?", "poor"), ("C?", "fair"))]
    assert in_short(found) == "Of 3 answers, 1 good, 1 fair, 1 poor."
    assert in_short(found[:1]) == "Of 1 answers, 1 good."
