"""Verdicts: one judgement in words for each question that an evaluation answers, and what to do where it is poor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hf_ntg.report.pages import format_score

__all__ = ["LEVELS", "Verdict", "advice", "in_short", "verdicts"]

# The mark and the word are for readers who see no colours.
LEVELS = {"good": ("●", "good"), "fair": ("▲", "fair"), "poor": ("■", "poor"), "unknown": ("○", "not measured")}
# The scores on which synthetic flows and the n-gram are compared.
_COMPARED = ("flow_jsd", "ngram_jsd", "timing_distance", "tstr", "c2st", "once_seen_copies")


@dataclass(frozen=True)
class Verdict:
    """The answer to one question.

    Attributes:
        question: in words. level: a key of `LEVELS`. answer: what was measured, with the scores of real flows.
        rule: which scores count as good and as fair.
    """

    question: str
    level: str
    answer: str
    rule: str

    @property
    def mark(self) -> str:
        """A symbol for the level."""
        return LEVELS[self.level][0]

    @property
    def word(self) -> str:
        """The level as a word."""
        return LEVELS[self.level][1]


@dataclass(frozen=True)
class _Question:
    """One question, and how its metric is read.

    Attributes:
        text: the question. metric: name of the metric.
        loss: by how much the synthetic score is worse than the real one, from (synthetic, real).
        good, fair: largest losses of these levels. rule: the same in words.
        answer: template with the scores ``synthetic``, ``real`` and the ``loss``.
    """

    text: str
    metric: str
    loss: Callable[[float, float], float]
    good: float
    fair: float
    rule: str
    answer: str


def _ratio(synthetic: float, real: float) -> float:
    return synthetic / real if real > 0 else (1.0 if synthetic <= 0 else float("inf"))


_TIMES = "good up to 1.1 times the score of real flows, fair up to 1.5 times"
_QUESTIONS = (
    _Question(
        "Do single packets look real?",
        "flow_jsd",
        _ratio,
        1.1,
        1.5,
        _TIMES,
        "Their lengths and directions differ from those of real test flows by {synthetic} bits; real training flows "
        "differ by {real} (Jensen-Shannon divergence, 0 is equal).",
    ),
    _Question(
        "Do packets follow each other as in real flows?",
        "ngram_jsd",
        _ratio,
        1.1,
        1.5,
        _TIMES,
        "Runs of 2 and 3 packets differ from those of test flows by {synthetic} bits; those of real training flows by "
        "{real}.",
    ),
    _Question(
        "Are the times between packets real?",
        "timing_distance",
        _ratio,
        1.1,
        1.5,
        _TIMES,
        "They are off by {synthetic} decades on average; real training flows by {real} (a decade is a factor of ten).",
    ),
    _Question(
        "Can a classifier learn from them?",
        "tstr",
        lambda synthetic, real: 100 * (real - synthetic),
        3.0,
        10.0,
        "good up to 3 points of macro-F1 below real flows, fair up to 10",
        "A random forest trained on them alone reaches macro-F1 {synthetic} on real test flows; trained on real flows "
        "{real} (mean over classes, 1 is perfect).",
    ),
    _Question(
        "Are they hard to tell from real flows?",
        "c2st",
        lambda synthetic, real: synthetic - real,
        0.03,
        0.1,
        "good up to 0.03 above the AUC of real flows, fair up to 0.1",
        "A classifier tells them from test flows with AUC {synthetic}, and real training flows from test flows with "
        "{real} (0.5 is chance).",
    ),
    _Question(
        "Are they new?",
        "once_seen_copies",
        lambda synthetic, real: synthetic - real,
        1.0,
        5.0,
        "good up to 1 point above real flows, fair up to 5; a measurement, not a guarantee of privacy",
        "",  # made from its parts, see _copies
    ),
)


def verdicts(result: dict) -> list[Verdict]:
    """The verdicts on the synthetic flows of an evaluation.

    Args:
        result: of :func:`hf_ntg.metrics.evaluate_flows`.
    """
    found = [_judge(question, result) for question in _QUESTIONS if question.metric in result["metrics"]]
    return [*found, *_against_ngram(result)]


def in_short(found: list[Verdict]) -> str:
    """How many of the verdicts have each level, in one sentence."""
    counts = {level: sum(verdict.level == level for verdict in found) for level in LEVELS}
    parts = [f"{count} {LEVELS[level][1]}" for level, count in counts.items() if count]
    return f"Of {len(found)} answers, {', '.join(parts)}."


def advice(result: dict) -> list[str]:
    """What to do about the poor answers, as sentences; empty where there is none."""
    levels = {question.metric: _judge(question, result).level for question in _QUESTIONS}
    found = []
    if ngram := _ngram_of(result):
        won, lost = _compare(result, ngram)
        if len(lost) >= len(won):
            found.append(
                f"The {ngram}, which only counts, is closer to real flows on {len(lost)} of {len(won) + len(lost)} "
                "scores. Train longer (more --epochs) or on more flows. If it stays ahead and copies little, use it: "
                f"FlowGenerator(make_baseline('{ngram}').fit(flows))."
            )
    if "poor" in (levels.get("flow_jsd"), levels.get("ngram_jsd"), levels.get("tstr")) and not found:
        found.append("Train longer (more --epochs) or on more flows; look in the table of classes for the weak ones.")
    if levels.get("once_seen_copies") == "poor":
        found.append(
            "The model repeats flows that it saw once. Train for fewer epochs, or on more flows, before you hand its "
            "flows to anyone who must not see the training flows."
        )
    return found


def _judge(question: _Question, result: dict) -> Verdict:
    columns = result["metrics"][question.metric]["columns"]
    synthetic, real = columns["synthetic"]["overall"], columns["real"]["overall"]
    if synthetic is None or real is None:
        reason = columns["synthetic"].get("reason") or columns["real"].get("reason") or "no score"
        return Verdict(question.text, "unknown", f"Not measured: {reason}.", question.rule)
    loss = question.loss(synthetic, real)
    level = "good" if loss <= question.good else "fair" if loss <= question.fair else "poor"
    answer = _copies(columns) if question.metric == "once_seen_copies" else question.answer
    answer = answer.format(synthetic=format_score(synthetic), real=format_score(real))
    return Verdict(question.text, level, answer + _interval(columns["synthetic"]), question.rule)


def _interval(column: dict) -> str:
    low, high = column.get("interval") or (None, None)
    return "" if low is None else f" The 95 % interval of their score is {format_score(low)} to {format_score(high)}."


def _copies(columns: dict) -> str:
    synthetic, unseen = columns["synthetic"]["once_seen"], columns["synthetic"]["unseen"]["once_seen"]
    return (
        f"{synthetic:.1%} of them repeat a training flow that was seen once; {unseen:.1%} of unseen real flows do. "
        "Only what is above that is memory."
    )


def _against_ngram(result: dict) -> list[Verdict]:
    ngram = _ngram_of(result)
    if ngram is None:
        return []
    won, lost = _compare(result, ngram)
    level = "good" if len(won) > 2 * len(lost) else "fair" if len(won) > len(lost) else "poor"
    titles = [result["metrics"][name]["title"] for name in lost]
    answer = f"They are closer to real flows than those of the {ngram} on {len(won)} of {len(won) + len(lost)} scores"
    answer += f"; the {ngram} is ahead in: {', '.join(titles)}." if lost else "."
    rule = f"the {ngram} counts which packet follows the last ones; good: ahead on more than two thirds, fair: on most"
    return [Verdict(f"Is the model better than a {ngram}?", level, answer, rule)]


def _ngram_of(result: dict) -> str | None:
    return next((name for name in result["columns"] if name.endswith("-gram")), None)


def _compare(result: dict, ngram: str) -> tuple[list[str], list[str]]:
    """Names of the compared metrics on which the synthetic flows are better than the n-gram, and of the others."""
    won: list[str] = []
    lost: list[str] = []
    for name in _COMPARED:
        scores = {column: found["overall"] for column, found in result["metrics"][name]["columns"].items()}
        synthetic, other, real = scores["synthetic"], scores[ngram], scores["real"]
        if synthetic is None or other is None or real is None:
            continue
        better = result["metrics"][name]["better"]
        worse_by = {
            "lower": synthetic - other,
            "higher": other - synthetic,
            "real": max(synthetic - real, 0) - max(other - real, 0),
        }[better]
        (lost if worse_by > 0 else won).append(name)
    return won, lost
