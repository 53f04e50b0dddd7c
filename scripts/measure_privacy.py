"""Measure what differential privacy costs: fidelity and use of synthetic flows against epsilon, next to real flows.

    python scripts/measure_privacy.py loopback my_flows.parquet --output privacy.jsonl
    python scripts/measure_privacy.py my_flows.parquet --public loopback --models private-n-gram,gpt2,gpt2-from-public

Every run is one line of the output; a run that is there already is not done again. The command prints a table: macro-F1
of a random forest that learned from the synthetic flows alone (TSTR), Jensen-Shannon divergence of packets, AUC of a
random forest that tells synthetic from real flows, and once-seen copies above real. All of them see the first packets
with payload. Flows are split at random; the test flows are seen by no generator.

Scores are computed from real flows and are not private. They show what a guarantee costs on a table that may be shown.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from hf_ntg import FlowGenerator, TrainingConfig, load_flows, split_flows, train
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.view import flows_in_view
from hf_ntg.metrics.registry import RealFlows, find_metric, measure
from hf_ntg.models.baselines import PrivateNGram, make_baseline

METRICS = ("tstr", "flow_jsd", "c2st", "once_seen_copies")
PRIVATE = ("private-n-gram", "gpt2", "gpt2-from-public", "gpt2-from-counts")
OPEN = ("4-gram", "gpt2")  # without a guarantee, for epsilon = infinity
REAL = "real"


class Table:
    """A flow table in the packet view, and its splits."""

    def __init__(self, source: str, times: bool) -> None:
        self.name = Path(source).stem
        flows = flows_in_view(load_flows(source), "payload")[0].to_dataset()
        lean = ["label", "payload_length", "direction", *(["inter_arrival_time"] if times else [])]
        self.flows = flows.select_columns(lean)

    def split(self, seed: int) -> tuple[Dataset, Dataset]:
        parts = split_flows(self.flows, by="random", seed=seed)
        return parts["train"], parts["test"]


def make_generator(model: str, epsilon: float, train_flows: Dataset, args: Any, seed: int, work: Path) -> FlowGenerator:
    """Fit `model` to `train_flows` with `epsilon`; infinity asks for no guarantee."""
    if math.isinf(epsilon):
        if model != "gpt2":
            return FlowGenerator(make_baseline(model).fit(train_flows, args.max_packets, "payload"))
        return trained(train_flows, args, seed, work / "open", args.open_settings)
    if model == "private-n-gram":
        return FlowGenerator(PrivateNGram(epsilon).fit(train_flows, args.max_packets, "payload"))
    if model == "gpt2-from-counts":
        # What is computed from the flows of a private generator is as private as they are.
        counts = FlowGenerator(PrivateNGram(epsilon).fit(train_flows, args.max_packets, "payload"))
        drawn = counts.generate(len(train_flows), seed=seed)
        return trained(drawn, args, seed, work / "counts", args.open_settings)
    private = args.settings | {"epsilon": epsilon}
    if model == "gpt2-from-public":
        folder = public_model(args, work)
        public = TrainingConfig.load(folder)
        private |= {"initial_model": str(folder), "width": public.width, "layers": public.layers}
    return trained(train_flows, args, seed, work / "private", private)


def trained(flows: Dataset, args: Any, seed: int, folder: Path, settings: dict[str, Any]) -> FlowGenerator:
    fixed = {"header": False, "times": args.times, "max_packets": args.max_packets, "seed": seed}
    train(flows, TrainingConfig.recipe("gpt2", output_dir=str(folder), **fixed | settings))
    return FlowGenerator.from_pretrained(folder)


def public_model(args: Any, work: Path) -> Path:
    """A model of the public table, made once in the folder of models."""
    folder = Path(args.public_model or work / "public")
    if not (folder / "config.json").exists():
        sizes = {name: args.settings[name] for name in ("width", "layers") if name in args.settings}
        trained(Table(args.public, args.times).flows, args, 0, folder, args.open_settings | sizes)
    return folder


def judge(train_flows: Dataset, test_flows: Dataset, synthetic: Dataset | None, max_packets: int, seed: int) -> dict:
    real = RealFlows(FlowArrays.from_dataset(train_flows), FlowArrays.from_dataset(test_flows))
    judged = None if synthetic is None else FlowArrays.from_dataset(synthetic)
    return {name: measure(find_metric(name), real, judged, max_packets, seed)["overall"] for name in METRICS}


def places(args: argparse.Namespace) -> list[tuple[str, float]]:
    """Models and their epsilons, cheap ones first."""
    budgets = [float(value) for value in args.epsilons.split(",")]
    private = [name for name in args.models.split(",") if name in PRIVATE]
    wanted = [(REAL, math.inf)]
    wanted += [(name, math.inf) for name in args.open.split(",") if name]
    return wanted + [(name, epsilon) for name in private for epsilon in budgets]


def run(args: argparse.Namespace) -> None:
    done = {key_of(row) for row in read(args.output)}
    for seed in range(args.seeds):
        for source in args.flows:
            table = Table(source, args.times)
            train_flows, test_flows = table.split(seed)
            if args.tune:  # validation flows in the place of the test flows
                parts = split_flows(train_flows, by="random", seed=1_000 + seed)
                train_flows, test_flows = parts["train"], parts["test"]
            for model, epsilon in places(args):
                settings = args.settings if model.startswith("gpt2") and math.isfinite(epsilon) else {}
                settings = settings | (args.open_settings if model in ("gpt2", "gpt2-from-counts") else {})
                row = {"table": table.name, "seed": seed, "model": model, "epsilon": str(epsilon), "tune": args.tune}
                row["settings"] = json.dumps(settings, sort_keys=True)
                if key_of(row) in done:
                    continue
                started = time.process_time()
                with tempfile.TemporaryDirectory() as work:
                    synthetic, privacy = None, None
                    if model != REAL:
                        generator = make_generator(model, epsilon, train_flows, args, seed, Path(work))
                        privacy = generator.privacy
                        synthetic = generator.generate(len(train_flows), seed=seed)
                    row["cpu_seconds"] = round(time.process_time() - started, 1)
                    row |= judge(train_flows, test_flows, synthetic, args.max_packets, seed)
                row |= {"train": len(train_flows), "test": len(test_flows), "privacy": privacy}
                with args.output.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps(row) + "\n")


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def key_of(row: dict) -> tuple:
    return tuple(row[name] for name in ("table", "seed", "model", "epsilon", "tune", "settings"))


def report(rows: list[dict]) -> str:
    """A Markdown table: a line for each table, model and epsilon, with means over the seeds."""
    found: dict[tuple, list[dict]] = defaultdict(list)
    for row in rows:
        found[row["table"], row["model"], float(row["epsilon"]), row["tune"], row["settings"]].append(row)
    lines = [
        "| table | model | epsilon | TSTR | JSD, bits | AUC | once-seen copies, points | seeds |",
        "|---|---|" + "--:|" * 6,
    ]
    for (table, model, epsilon, tune, _), group in sorted(found.items(), key=lambda item: item[0][:3]):
        means = {name: np.mean([row[name] for row in group]) for name in METRICS}
        words = "none" if math.isinf(epsilon) else f"{epsilon:g}"
        lines.append(
            f"| {table}{' (validation)' if tune else ''} | {model} | {words} | {100 * means['tstr']:.1f} | "
            f"{means['flow_jsd']:.3f} | {means['c2st']:.3f} | {means['once_seen_copies']:.1f} | {len(group)} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("flows", nargs="*", help="flow tables, 'loopback' or data sets on the Hub")
    parser.add_argument("--output", type=Path, default=Path("privacy.jsonl"))
    parser.add_argument("--epsilons", default="1,2,4,8", help="by commas")
    parser.add_argument("--models", default="private-n-gram", help=f"by commas, of {', '.join(PRIVATE)}")
    parser.add_argument("--open", default="4-gram", help=f"models without a guarantee, of {', '.join(OPEN)}")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--public", default="loopback", help="table of the public model")
    parser.add_argument("--public-model", help="folder of a public model; made if it is not there")
    parser.add_argument("--max-packets", type=int, default=10)
    parser.add_argument("--times", action="store_true", help="learn inter-arrival times too")
    parser.add_argument("--tune", action="store_true", help="score on validation flows taken from the training flows")
    parser.add_argument("--settings", type=json.loads, default={}, help="settings of private GPT-2 trainings, JSON")
    parser.add_argument("--open-settings", type=json.loads, default={}, help="settings of the others, JSON")
    args = parser.parse_args()
    run(args)
    print(report(read(args.output)))


if __name__ == "__main__":
    main()
