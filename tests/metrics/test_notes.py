from collections import Counter

from made_flows import table

from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.metrics.membership import OTHER_CAPTURES
from hf_ntg.metrics.notes import evaluation_notes
from hf_ntg.metrics.registry import RealFlows


def notes_on(train="ab", test="ab", synthetic="ab", captures=("x", "x"), unlabelled=0, score=0.5, reason=""):
    sides = [FlowArrays.from_dataset(table(*((label, [1]) for label in "ab"), capture=[name] * 2)) for name in captures]
    counts = {"train": Counter(train), "test": Counter(test), "synthetic": Counter(synthetic)}
    tstr = {"overall": 0.5, "interval_by": "captures", "interval_units": 20}
    column = {"overall": score} | ({"reason": reason} if reason else {})
    metrics = {
        "tstr": {"title": "TSTR", "columns": {"synthetic": tstr}},
        "timing": {"title": "Times", "columns": {"synthetic": column}},
    }
    return evaluation_notes(counts, {"test": unlabelled}, RealFlows(*sides, None), metrics)


def test_nothing_to_note():
    assert notes_on() == []


def test_each_trouble_has_a_sentence():
    cases = {
        "1 classes of the test flows have no synthetic flow (b)": {"synthetic": "aa"},
        "1 classes are not among the test flows (c; 1 training and 0 synthetic flows)": {"train": "abc"},
        "No baseline can make the synthetic labels c": {"synthetic": "abc", "train": "aab", "test": "abc"},
        "There are 3 synthetic flows (and as many of each baseline) against 2 training flows": {"synthetic": "abb"},
        "4 test flows have no label": {"unlabelled": 4},
        "Membership inference is left out": {"captures": ("x", "y")},
        "Times has no score: no times.": {"score": None, "reason": "no times"},
    }  # fmt: skip
    for sentence, changes in cases.items():
        assert any(note.startswith(sentence) for note in notes_on(**changes)), sentence


def test_membership_inference_is_explained_once():
    found = notes_on(captures=("x", "y"), score=None, reason=OTHER_CAPTURES)
    assert sum(OTHER_CAPTURES in note for note in found) == 1
