"""Measure what helps where labelled flows are few: macro-F1 on held-out real flows, against the few flows alone.

    python scripts/measure_few_labels.py loopback my_flows.parquet --output few_labels.jsonl

Every run is one line of the output; a run that is there already is not done again. The command prints a table of
differences to the few flows alone, in points, each with a 95 % interval over draws and splits.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
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
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.view import flows_in_view
from hf_ntg.study.axes.unlabelled import guess_by_library

MOST_PACKETS, SEEN = 32, 10  # of a flow: kept for transformations, and seen by the forest
STRICT = (
    *("replay", "loss", "masking", "shift", "fast-retransmit", "time-out", "change-rtt", "time-shift", "crossover"),
    *("jitter", "crossover+loss", "crossover,loss", "crossover,crossover+loss", "smote", "4-gram", "auto"),
)
CLASSIFIERS = ("classifier:none", "classifier:crossover")
WITH_UNLABELLED = ("self-training", "label-spreading", "unlabelled", "unlabelled+classifier")


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
    """One table, split, number of flows a class and draw."""

    def __init__(self, train: FlowArrays, test: FlowArrays, shots: int, seed: int, per_class: int) -> None:
        rows = draw_few(train.label.astype(str), shots, seed)
        rest = np.setdiff1d(np.arange(len(train)), rows)
        self.few, self.rest, self.test, self.train = train.take(rows), train.take(rest), test, train
        self.seed, self.per_class = seed, per_class

    def missing(self) -> dict[str, int]:
        labels, counts = np.unique(self.few.label.astype(str), return_counts=True)
        return {str(c): max(0, self.per_class - int(n)) for c, n in zip(labels, counts, strict=True)}

    def score(self, method: str) -> tuple[float, str]:
        """Macro-F1, and the method that was chosen, if one was."""
        chosen = method
        if method == "none":
            return self.forest(self.few), ""
        if method == "all":
            return self.forest(self.train), ""
        if method in ("self-training", "label-spreading"):
            return self.library(method), ""
        if method.startswith("classifier:"):
            chosen = method.removeprefix("classifier:")
            return self.f1(self.classifier(self.topped_up(chosen)).predict(self.test)), ""
        if method.startswith("unlabelled"):
            rows, guessed = guessed_flows(self.few, self.rest, self.missing(), self.seed)
            training = joined([self.few, replace(self.rest.take(rows), label=guessed.astype(object))])
            if method == "unlabelled":
                return self.forest(training), ""
            return self.f1(self.classifier(training).predict(self.test)), ""
        if method == "auto":
            chosen = choose_method(self.few, self.per_class, self.seed).method
        return self.forest(self.topped_up(chosen)), chosen if method == "auto" else ""

    def topped_up(self, method: str) -> FlowArrays:
        if method == "none":
            return self.few
        made = flows_from_few(self.few, self.missing(), method, self.seed)
        return joined([lengths_of(self.few), lengths_of(made)])

    def classifier(self, training: FlowArrays) -> FewFlowsClassifier:
        return FewFlowsClassifier(SEEN, seed=self.seed).fit(training)

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


def measure(args: argparse.Namespace, say: Callable[[str], None] = print) -> None:
    done = {key_of(row) for row in read(args.output)}
    for source in args.flows:
        flows = payload_only(FlowArrays.from_dataset(load_flows(source))).to_dataset()
        for by in args.by.split(","):
            for split in range(args.splits):
                parts = split_flows(flows, by=by, seed=split)
                train, test = (FlowArrays.from_dataset(parts[name]) for name in ("train", "test"))
                for shots in map(int, args.shots.split(",")):
                    for draw in range(args.draws):
                        place = {"table": Path(source).stem, "by": by, "split": split, "shots": shots, "draw": draw}
                        cell = Cell(train, test, shots, draw, args.per_class)
                        for method in ("none", *args.methods.split(";")):
                            if (*place.values(), method) in done:
                                continue
                            if method in ("change-rtt", "time-shift") and train.inter_arrival_time is None:
                                continue
                            started = time.perf_counter()
                            found, chosen = cell.score(method)
                            row = place | {"method": method, "f1": found, "chosen": chosen}
                            row["seconds"] = round(time.perf_counter() - started, 2)
                            with args.output.open("a", encoding="utf-8") as lines:
                                lines.write(json.dumps(row) + "\n")


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def key_of(row: dict) -> tuple:
    return tuple(row[name] for name in ("table", "by", "split", "shots", "draw", "method"))


def report(rows: list[dict]) -> str:
    """A Markdown table: methods by places; the first row is the macro-F1 of the few alone, in percent."""
    found: dict[tuple, dict[tuple, float]] = defaultdict(dict)
    for row in rows:
        found[row["table"], row["by"], row["shots"]][row["split"], row["draw"], row["method"]] = 100 * row["f1"]
    places = sorted(found)
    methods = list(dict.fromkeys(row["method"] for row in rows))
    lines = [
        "| | " + " | ".join(f"{t} {by} {k}" for t, by, k in places) + " | mean |",
        "|---" * (len(places) + 2) + "|",
    ]
    for method in methods:
        cells, means = [], []
        for place in places:
            values = found[place]
            units = [
                (split, draw) for split, draw, name in values if name == method and (split, draw, "none") in values
            ]
            if method == "none":
                cells.append(f"{np.mean([values[*unit, 'none'] for unit in units]):.1f}")
                continue
            gains = np.array([values[*unit, method] - values[*unit, "none"] for unit in units])
            if not len(gains):
                cells.append("")
                continue
            spread = stats.sem(gains) * stats.t.ppf(0.975, len(gains) - 1) if len(gains) > 1 else np.nan
            cells.append(f"{gains.mean():+.1f} ± {spread:.1f}")
            means.append(gains.mean())
        lines.append(
            f"| {method} | " + " | ".join(cells) + f" | {np.mean(means):+.2f} |"
            if means
            else f"| {method} | " + " | ".join(cells) + " | |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("flows", nargs="*", help="flow tables, 'loopback' or data sets on the Hub")
    parser.add_argument("--output", type=Path, default=Path("few_labels.jsonl"))
    parser.add_argument("--by", default="random", help="splits, by commas: random, capture")
    parser.add_argument("--shots", default="5,10,20,50", help="flows a class, by commas")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--per-class", type=int, default=200)
    parser.add_argument("--methods", default=";".join(("all", *STRICT, *CLASSIFIERS, *WITH_UNLABELLED)), help="by ';'")
    args = parser.parse_args()
    measure(args)
    print(report(read(args.output)))


if __name__ == "__main__":
    main()
