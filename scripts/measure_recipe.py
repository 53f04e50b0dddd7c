"""Measure recipes: usefulness, fidelity and memory of their synthetic flows, next to real flows and to counting.

    python scripts/measure_recipe.py loopback my_flows.parquet --models gpt2 4-gram cvae --seeds 3 --output recipe.jsonl
    python scripts/measure_recipe.py loopback --by capture --models gpt2 4-gram --seeds 5
    python scripts/measure_recipe.py loopback --models gpt2 --set dropout=0.05
    python scripts/measure_recipe.py loopback --models gpt2 unet 4-gram --view all --multiples 1 --draws 1

A line of the output is one table, split and model. Lines that are there already are not computed again. With ``--by
random``, a seed is a split and a training. With ``--by capture``, it is a training and the test fold of five. The
classifiers see directions and lengths of the first 10 packets. The command prints means and standard deviations over
the seeds: macro-F1 in points above a classifier of the real training flows, copies of once-seen training flows in
points above those of real test flows, and the Jensen-Shannon divergence and the distance of inter-arrival times in
multiples of those of the training flows.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from hf_ntg import FlowGenerator, TrainingConfig, load_flows, split_flows
from hf_ntg.constants import RUN_FILE
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.view import flows_in_view
from hf_ntg.json_files import read_object_or_empty
from hf_ntg.metrics.copies import once_seen_copies
from hf_ntg.metrics.distance import timing_distance
from hf_ntg.metrics.divergence import flow_jsd
from hf_ntg.metrics.membership import likelihood_membership
from hf_ntg.metrics.whole import c2st
from hf_ntg.study.axes.bench import fit_generator
from hf_ntg.study.axes.classifiers import train_and_test
from hf_ntg.training.config import MODEL_FAMILIES

FOLDS = 5
KEY = ("table", "by", "seed", "view", "packets", "model", "settings", "multiples", "draws", "classifiers")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", help="flow tables, or 'loopback'")
    parser.add_argument("--models", nargs="+", default=["gpt2", "4-gram"], help="families and baselines")
    parser.add_argument("--by", default="random", choices=("random", "capture"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--view", default="payload", choices=("payload", "all"))
    parser.add_argument("--packets", type=int, default=10)
    parser.add_argument(
        "--multiples", type=int, nargs="+", default=[1, 4, 10], help="synthetic flows, in training sets"
    )
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--classifiers", nargs="+", default=["random_forest"])
    parser.add_argument("--set", nargs="*", default=[], help="settings of the training, as name=value")
    parser.add_argument("--output", type=Path, default=Path("recipe.jsonl"))
    arguments = parser.parse_args()
    done = {key_of(row) for row in read_rows(arguments.output)}
    for table in arguments.tables:
        for seed in arguments.seeds:
            cell = None
            for model in arguments.models:
                place = place_of(arguments, table, seed, model)
                if key_of(place) in done:
                    continue
                cell = cell or Cell(arguments, table, seed)
                with arguments.output.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps(place | cell.measure(model)) + "\n")
    print(report(read_rows(arguments.output)))


def place_of(arguments: argparse.Namespace, table: str, seed: int, model: str) -> dict:
    """What identifies a line of the output."""
    place = {name: getattr(arguments, name) for name in KEY if hasattr(arguments, name)}
    settings = " ".join(sorted(arguments.set)) if model in MODEL_FAMILIES else ""
    return place | {"table": Path(table).stem, "seed": seed, "model": model, "settings": settings}


def key_of(row: dict) -> tuple:
    return tuple(json.dumps(row[name]) for name in KEY)


def read_rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


class Cell:
    """One split of one table: its real flows, and what their classifiers reach."""

    def __init__(self, arguments: argparse.Namespace, table: str, seed: int) -> None:
        self.arguments, self.seed = arguments, seed
        flows = flows_in_view(load_flows(table), arguments.view)[0].to_dataset()
        fold = {"fold": seed, "folds": FOLDS, "seed": 0} if arguments.by == "capture" else {"seed": seed}
        parts = split_flows(flows, by=arguments.by, **fold)
        self.train_flows = parts["train"]
        self.train, self.test = (FlowArrays.from_dataset(parts[name]) for name in ("train", "test"))
        self.real = {name: self.f1(name, self.train, seed) for name in arguments.classifiers}
        self.real_jsd = flow_jsd(self.test, self.train, arguments.packets)["overall"]
        self.real_times = timing_distance(self.test, self.train, arguments.packets)["overall"]

    def facts(self) -> dict:
        """Sizes of the split, and what real flows reach on it."""
        facts = {"train": len(self.train), "test": len(self.test), "real": self.real, "real_jsd": self.real_jsd}
        return facts | {"real_times": self.real_times}

    def f1(self, classifier: str, training: FlowArrays, seed: int) -> float:
        return 100 * train_and_test(classifier, self.test, training, self.arguments.packets, seed)["macro_f1"]

    def measure(self, model: str) -> dict:
        """Fit `model`, and judge its flows."""
        with tempfile.TemporaryDirectory() as scratch:
            folder, config = Path(scratch) / "model", None
            if model in MODEL_FAMILIES:
                config = self.config(model, folder)
            began = time.process_time()
            fit_generator(model, self.train_flows, config, folder, self.arguments.packets, self.arguments.view)
            row = {"fit_cpu_seconds": time.process_time() - began}
            row |= (
                {name: read_object_or_empty(folder / RUN_FILE)[name] for name in ("epochs", "steps")} if config else {}
            )
            generator = FlowGenerator.from_pretrained(folder)
            row |= self.facts()
            row["by_multiple"] = {str(n): self.judge_generator(generator, n) for n in self.arguments.multiples}
            if model in ("gpt2", "llama", "mamba") or model.endswith("-gram"):
                found = likelihood_membership(self.test, self.train, generator.log_likelihood, seed=self.seed)
                row["membership_auc"] = found["overall"]
        return row

    def config(self, model: str, folder: Path) -> TrainingConfig:
        given = {name: json.loads(value) for name, value in (item.split("=", 1) for item in self.arguments.set)}
        given |= {"view": self.arguments.view, "max_packets": self.arguments.packets, "seed": self.seed}
        return TrainingConfig.recipe(model, **given, output_dir=str(folder), checkpoint_every=0)

    def judge_generator(self, generator: FlowGenerator, multiple: int) -> dict:
        """Judge draws of `multiple` training sets; times are drawn once, for what sees them."""
        counts = {label: multiple * count for label, count in sorted(Counter(self.train_flows["label"]).items())}
        rates = []

        def draw(number: int) -> FlowArrays:
            timed = number == 0 and multiple == min(self.arguments.multiples)
            options = {} if timed or "times" not in generator.sampler.options else {"times": False}
            began = time.process_time()
            flows = generator.generate(label=counts, seed=1_000 * self.seed + 100 * number + multiple, **options)
            if timed:
                rates.append(len(flows) / (time.process_time() - began))
            return FlowArrays.from_dataset(flows)

        scores = self.judge(map(draw, range(self.arguments.draws)), multiple)
        return scores | ({"flows_per_cpu_second": rates[0]} if rates else {})

    def judge(self, draws: Iterable[FlowArrays], multiple: int) -> dict:
        """Means over `draws` of `multiple` training sets. What sees times sees the first draw of the least multiple."""
        width = self.arguments.packets
        scores: dict[str, list[float]] = defaultdict(list)
        for number, made in enumerate(draws):
            for name in self.arguments.classifiers:
                scores[name].append(self.f1(name, made, number) - self.real[name])
            scores["jsd_ratio"].append(flow_jsd(self.test, made, width)["overall"] / self.real_jsd)
            scores["copies_excess"].append(once_seen_copies(self.test, made, self.train, width)["overall"])
            if number == 0 and multiple == min(self.arguments.multiples):
                scores["c2st"].append(c2st(self.test, made, width, seed=number)["overall"])
                distance = timing_distance(self.test, made, width)["overall"]
                if self.real_times and distance is not None:
                    scores["times_ratio"].append(distance / self.real_times)
            packets = packets_of(self.test), packets_of(made)
            scores["c2st packets"].append(c2st(*packets, width, seed=number)["overall"])
        return {name: float(np.mean(values)) for name, values in scores.items()}


def packets_of(flows: FlowArrays) -> FlowArrays:
    """Directions and lengths of `flows`, without times and headers."""
    return FlowArrays(flows.offsets, flows.payload_length, flows.direction, flows.label)


def report(rows: list[dict]) -> str:
    """A Markdown table of means and standard deviations over the seeds."""
    found: dict[tuple, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        own = found[row["table"], row["by"], row["view"], " ".join((row["model"], row["settings"])).strip()]
        own["fit CPU s"].append(row["fit_cpu_seconds"])
        for name, value in row["real"].items():
            own[f"real {name}"].append(value)
        for multiple, scores in row["by_multiple"].items():
            for name, value in scores.items():
                own[f"{name} {multiple}×"].append(value)
        if row.get("membership_auc") is not None:
            own["membership AUC"].append(row["membership_auc"])
    columns = list(dict.fromkeys(name for own in found.values() for name in own))
    head = ["table", "split", "view", "model", "seeds", *columns]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for place, own in sorted(found.items()):
        cells = [f"{np.mean(own[name]):.2f} ± {np.std(own[name]):.2f}" if name in own else "" for name in columns]
        lines.append("| " + " | ".join([*place, str(len(own["fit CPU s"])), *cells]) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
