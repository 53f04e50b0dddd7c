"""Train generators on flow tables and print how they do beside real held-out flows and the n-gram.

    python scripts/compare_models.py loopback own.parquet --models gpt2 mamba 3-gram --by random capture --output runs/

Each run (table, split, model, seed) trains on the training flows alone, draws 1 and 4 times as many of each class,
and judges them against the test flows. A finished run is a line of ``runs/results.jsonl`` and is not run again; the
table is printed as Markdown.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path

from hf_ntg import FlowGenerator, TrainingConfig, load_flows, split_flows, train
from hf_ntg.metrics.distance import timing_distance
from hf_ntg.metrics.divergence import flow_jsd
from hf_ntg.metrics.novelty import copy_rate
from hf_ntg.metrics.utility import tstr
from hf_ntg.models.baselines import make_baseline
from hf_ntg.training import MODEL_FAMILIES

FIGURES = {
    "JSD, bits": "jsd",
    "JSD × real": "jsd_ratio",
    "TSTR F1, 1×": "tstr_1",
    "TSTR F1, 4×": "tstr_4",
    "points under real": "tstr_gap",
    "copies": "copies",
    "copies − real": "copies_gap",
    "time W1, decades": "timing",
    "training, s": "training_seconds",
    "flows/s": "flows_per_second",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("flows", nargs="+", help="flow tables, or 'loopback'")
    parser.add_argument("--models", nargs="+", default=["gpt2", "llama", "mamba", "3-gram"])
    parser.add_argument("--by", nargs="+", default=["random", "capture"], choices=["random", "capture"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="training settings, as JSON values")
    parser.add_argument("--output", type=Path, required=True, help="folder for models and results.jsonl")
    arguments = parser.parse_args()
    settings = {name: json.loads(value) for name, value in (pair.split("=", 1) for pair in arguments.set)}
    arguments.output.mkdir(parents=True, exist_ok=True)
    done = _Results(arguments.output / "results.jsonl")
    for source in arguments.flows:
        flows = load_flows(source)
        for by in arguments.by:
            for seed in arguments.seeds:
                parts = split_flows(flows, by=by, seed=seed)
                common = {"flows": Path(source).stem, "by": by, "seed": seed}
                done.run(common | {"model": "real"}, judge_real, parts["train"], parts["test"])
                real = done.find(common | {"model": "real"})
                for model in arguments.models:
                    key = common | {"model": model, "settings": settings}
                    folder = arguments.output / f"{Path(source).stem}-{by}-{model}-{seed}"
                    done.run(key, judge_model, model, parts, real, folder, seed, settings)
    print(as_markdown(done.rows))


class _Results:
    """Finished runs: one JSON object a line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        self.rows = [json.loads(line) for line in text.splitlines()]

    def find(self, key: dict) -> dict | None:
        return next((row for row in self.rows if all(row.get(name) == value for name, value in key.items())), None)

    def run(self, key: dict, job, *given) -> None:
        if self.find(key) is not None:
            return
        self.rows.append(key | job(*given))
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(self.rows[-1]) + "\n")
        print(json.dumps(self.rows[-1]), file=sys.stderr, flush=True)


def judge_real(training, test) -> dict:
    """What real flows reach: training against test flows, and for copies test against training flows."""
    return {
        "jsd": flow_jsd(test, training)["overall"],
        "tstr_1": tstr(test, training)["overall"],
        "copies": copy_rate(training, test)["overall"],
        "timing": timing_distance(test, training)["overall"],
    }


def judge_model(model: str, parts, real: dict, folder: Path, seed: int, settings: dict) -> dict:
    """Train `model` on the training part, draw from it, and hold the draws against the test part."""
    started = time.perf_counter()
    if model in MODEL_FAMILIES:
        train(parts["train"], TrainingConfig.recipe(model, **settings, seed=seed, output_dir=str(folder)))
        generator = FlowGenerator.from_pretrained(folder)
    else:
        generator = make_baseline(model).fit(parts["train"])
    trained = time.perf_counter() - started
    counts = Counter(parts["train"]["label"])
    started = time.perf_counter()
    four = generator.generate(label={name: 4 * count for name, count in counts.items()}, seed=seed)
    drawn = time.perf_counter() - started
    one = generator.generate(label=dict(counts), seed=seed + 1)
    found = {
        "jsd": flow_jsd(parts["test"], one)["overall"],
        "tstr_1": tstr(parts["test"], one)["overall"],
        "tstr_4": tstr(parts["test"], four)["overall"],
        "copies": copy_rate(parts["train"], four)["overall"],
        "timing": timing_distance(parts["test"], one)["overall"],
    }
    return found | {
        "jsd_ratio": found["jsd"] / real["jsd"],
        "tstr_gap": 100 * (real["tstr_1"] - found["tstr_4"]),
        "copies_gap": found["copies"] - real["copies"],
        "training_seconds": trained,
        "flows_per_second": len(four) / drawn,
    }


def as_markdown(rows: list[dict]) -> str:
    """The runs as a Markdown table, a line each."""
    lines = [
        "| flows | split | seed | model | " + " | ".join(FIGURES) + " |",
        "|---|---|---|---|" + "--:|" * len(FIGURES),
    ]
    for row in rows:
        cells = [_figure(row.get(name)) for name in FIGURES.values()]
        lines.append(f"| {row['flows']} | {row['by']} | {row['seed']} | {row['model']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.0f}"


if __name__ == "__main__":
    main()
