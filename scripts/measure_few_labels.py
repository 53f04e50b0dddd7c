"""Measure what helps where labelled flows are few: macro-F1 on held-out real flows, against the few flows alone.

    python scripts/measure_few_labels.py loopback my_flows.parquet --output few_labels.jsonl

Every run is one line of the output; a run that is there already is not done again. The command prints a table of
differences to the few flows alone, in points, each with a 95 % interval over draws and splits.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter, defaultdict
from dataclasses import replace
from functools import cached_property
from itertools import product
from pathlib import Path

import numpy as np
from scipy import stats
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import f1_score

from hf_ntg import load_flows, split_flows
from hf_ntg.augmentation.choice import choose_method
from hf_ntg.augmentation.classifier import FewFlowsClassifier
from hf_ntg.augmentation.edits import joined
from hf_ntg.augmentation.guessing import guessed_flows
from hf_ntg.augmentation.methods import flows_from_few
from hf_ntg.constants import DEFAULT_PER_CLASS
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.view import flows_in_view
from hf_ntg.study.axes.unlabelled import guess_by_library

MOST_PACKETS, SEEN = 32, 10  # of a flow: kept for transformations, and seen by the forest
STRICT = (
    *("replay", "loss", "masking", "shift", "fast-retransmit", "time-out", "change-rtt", "time-shift", "crossover"),
    *("jitter", "crossover+loss", "crossover,fast-retransmit,shift", "smote", "4-gram", "auto"),
)
CLASSIFIERS = ("classifier:none", "classifier:auto")
WITH_UNLABELLED = ("self-training", "label-spreading", "unlabelled", "classifier:unlabelled")


def payload_only(flows: FlowArrays) -> FlowArrays:
    """The first packets with payload of each flow, without header facts."""
    seen, _ = flows_in_view(flows, "payload")
    lean = FlowArrays(seen.offsets, seen.payload_length, seen.direction, seen.label, seen.inter_arrival_time)
    return replace(lean, capture=seen.capture).head(MOST_PACKETS)


def draw_few(labels: np.ndarray, shots: int, seed: int) -> np.ndarray:
    """Rows of `shots` flows of every class, all of a class that has no more."""
    rng = np.random.default_rng(seed)
    return np.sort(np.concatenate([rng.permutation(np.flatnonzero(labels == c))[:shots] for c in np.unique(labels)]))


class Cell:
    """One table, split, number of flows a class and draw. What several methods need is made once."""

    def __init__(self, train: FlowArrays, test: FlowArrays, shots: int, seed: int, per_class: int) -> None:
        rows = draw_few(train.label.astype(str), shots, seed)
        rest = np.setdiff1d(np.arange(len(train)), rows)
        self.few, self.rest, self.test, self.train = train.take(rows), train.take(rest), test, train
        self.seed, self.per_class = seed, per_class
        self.scored: dict[str, float] = {}  # by method

    def missing(self) -> dict[str, int]:
        labels, counts = np.unique(self.few.label.astype(str), return_counts=True)
        return {str(c): max(0, self.per_class - int(n)) for c, n in zip(labels, counts, strict=True)}

    def score(self, method: str) -> tuple[float, str]:
        """Macro-F1, and the method that was chosen, if one was."""
        name, chosen = method, ""
        if "auto" in method:
            chosen = self.chosen
            name = method.replace("auto", chosen)
        if name not in self.scored:
            self.scored[name] = self._score(name)
        return self.scored[name], chosen

    def _score(self, method: str) -> float:
        if method == "all":
            return self.forest(self.train)
        if method in ("self-training", "label-spreading"):
            return self.library(method)
        name = method.removeprefix("classifier:")
        training = self.with_guesses if name == "unlabelled" else self.topped_up(name)
        if name == method:
            return self.forest(training)
        return self.f1(FewFlowsClassifier(SEEN, seed=self.seed).fit(training).predict(self.test))

    @cached_property
    def chosen(self) -> str:
        return choose_method(self.few, self.per_class, self.seed).method

    @cached_property
    def with_guesses(self) -> FlowArrays:
        """The few flows, others with guessed labels, and what is still missing, as `augment(unlabelled=…)` makes it."""
        rows, guessed = guessed_flows(self.few, self.rest, self.missing(), self.seed)
        found = Counter(guessed.tolist())
        missing = {label: count - found[label] for label, count in self.missing().items()}
        made = flows_from_few(self.few, missing, self.chosen, self.seed)
        labelled = replace(self.rest.take(rows), label=guessed.astype(object))
        return joined([lengths_of(part) for part in (self.few, labelled, made)])

    def topped_up(self, method: str) -> FlowArrays:
        if method == "none":
            return lengths_of(self.few)
        made = flows_from_few(self.few, self.missing(), method, self.seed)
        return joined([lengths_of(self.few), lengths_of(made)])

    def forest(self, training: FlowArrays) -> float:
        model = RandomForestClassifier(100, random_state=self.seed, n_jobs=1)
        model.fit(training.padded("signed_length", SEEN), training.label.astype(str))
        return self.f1(model.predict(self.test.padded("signed_length", SEEN)))

    def library(self, method: str) -> float:
        """The forest, trained on the few flows and on all others with the labels that scikit-learn's method guesses."""
        guessed = guess_by_library(method, self.few, self.rest, SEEN, self.seed)
        reached = np.array([label is not None for label in guessed])
        return self.forest(joined([self.few, replace(self.rest, label=guessed).take(reached)]))

    def f1(self, said: np.ndarray) -> float:
        true = self.test.label.astype(str)
        return float(f1_score(true, said, labels=np.unique(true), average="macro", zero_division=0))


def lengths_of(flows: FlowArrays) -> FlowArrays:
    return FlowArrays(flows.offsets, flows.payload_length, flows.direction, flows.label)


def measure(args: argparse.Namespace) -> None:
    """Write a line for each run that is missing. Draws come first, so that an interrupted run covers all tables."""
    done = {key_of(row) for row in read(args.output)}
    tables = {source: payload_only(FlowArrays.from_dataset(load_flows(source))).to_dataset() for source in args.flows}
    methods = ["none", *args.methods.split(";")]
    for draw, split, by, source in product(range(args.draws), range(args.splits), args.by.split(","), args.flows):
        parts = split_flows(tables[source], by=by, seed=split)
        train, test = (FlowArrays.from_dataset(parts[name]) for name in ("train", "test"))
        timeless = ("change-rtt", "time-shift") if train.inter_arrival_time is None else ()
        for number, shots in enumerate(map(int, args.shots.split(","))):
            place = {"table": Path(source).stem, "by": by, "split": split, "shots": shots, "draw": draw}
            cell = Cell(train, test, shots, draw, args.per_class)
            for method in methods:
                if (*place.values(), method) in done or method in timeless:
                    continue
                if method == "all" and (draw or number):  # the same for every number and draw
                    continue
                started = time.process_time()
                found, chosen = cell.score(method)
                row = place | {"method": method, "f1": found, "chosen": chosen}
                row["seconds"] = round(time.process_time() - started, 2)
                with args.output.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps(row) + "\n")


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def key_of(row: dict) -> tuple:
    return tuple(row[name] for name in ("table", "by", "split", "shots", "draw", "method"))


def report(rows: list[dict]) -> str:
    """A Markdown table of methods by places; the first row is the macro-F1 of the few flows alone, in percent."""
    found: dict[tuple, dict[tuple, float]] = defaultdict(dict)
    for row in rows:
        found[row["table"], row["by"], row["shots"]][row["method"], row["split"], row["draw"]] = 100 * row["f1"]
    for (*place, _), values in found.items():  # a forest that knows all labels does not depend on draw or number
        others = [scores for key, scores in found.items() if list(key[:2]) == place]
        known = {key[1]: score for scores in others for key, score in scores.items() if key[0] == "all"}
        units = [key[1:] for key in values if key[0] == "none"]
        values.update({("all", *unit): known[unit[0]] for unit in units if unit[0] in known})
    places = sorted(found)
    lines = ["| | " + " | ".join(f"{t} {by} {k}" for t, by, k in places) + " | mean |"]
    lines.append("|---" * (len(places) + 2) + "|")
    alone = [np.mean([score for key, score in found[place].items() if key[0] == "none"]) for place in places]
    lines.append("| none | " + " | ".join(f"{score:.1f}" for score in alone) + f" | {np.mean(alone):.1f} |")
    for method in dict.fromkeys(row["method"] for row in rows if row["method"] != "none"):
        gains = [gains_of(found[place], method) for place in places]
        cells = [f"{gain.mean():+.1f} ± {half_interval(gain):.1f}" if len(gain) else "" for gain in gains]
        overall = np.mean([gain.mean() for gain in gains if len(gain)])
        lines.append(f"| {method} | " + " | ".join(cells) + f" | {overall:+.2f} |")
    for method in dict.fromkeys(row["method"] for row in rows if "unlabelled" in row["method"]):
        shares = [gap_closed(found[place], method) for place in places]
        cells = [f"{share:.0%}" if share is not None else "" for share in shares]
        lines.append(f"| gap to all labels closed by {method} | " + " | ".join(cells) + " | |")
    return "\n".join(lines)


def gains_of(scores: dict[tuple, float], method: str) -> np.ndarray:
    """Points of a method over the few flows alone, one for each split and draw that has both."""
    units = [key[1:] for key in scores if key[0] == method and ("none", *key[1:]) in scores]
    return np.array([scores[method, *unit] - scores["none", *unit] for unit in units])


def half_interval(gains: np.ndarray) -> float:
    """Half the width of the mean's 95 % interval, from Student's t over splits and draws taken as independent."""
    return float(stats.sem(gains) * stats.t.ppf(0.975, len(gains) - 1)) if len(gains) > 1 else np.nan


def gap_closed(scores: dict[tuple, float], method: str) -> float | None:
    """Mean gain of a method as a share of what a forest gains that knows all labels, over the same splits and draws."""
    units = [key[1:] for key in scores if key[0] == method and ("none", *key[1:]) in scores]
    units = [unit for unit in units if ("all", *unit) in scores]
    gained = sum(scores[method, *unit] - scores["none", *unit] for unit in units)
    gap = sum(scores["all", *unit] - scores["none", *unit] for unit in units)
    return gained / gap if units else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("flows", nargs="*", help="flow tables, 'loopback' or data sets on the Hub")
    parser.add_argument("--output", type=Path, default=Path("few_labels.jsonl"))
    parser.add_argument("--by", default="random", help="splits, by commas: random, capture")
    parser.add_argument("--shots", default="5,10,20,50", help="flows a class, by commas")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--per-class", type=int, default=DEFAULT_PER_CLASS)
    parser.add_argument("--methods", default=";".join(("all", *STRICT, *CLASSIFIERS, *WITH_UNLABELLED)), help="by ';'")
    args = parser.parse_args()
    measure(args)
    print(report(read(args.output)))


if __name__ == "__main__":
    main()
