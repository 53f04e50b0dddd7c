"""The main job from end to end: real flows in, a trained model, new flows and an honest report out."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from hf_ntg.flows import load_flows, save_flows, split_flows
from hf_ntg.generation import FlowGenerator
from hf_ntg.metrics import evaluate_flows
from hf_ntg.report.evaluation import headline, write_report
from hf_ntg.training import TrainingConfig, train

__all__ = ["run_quickstart"]

QUICK = {"max_packets": 10, "max_steps": 600}  # a model that is worth looking at, in about a minute on two cores


def run_quickstart(
    output: Path,
    source: str = "loopback",
    *,
    epochs: int | None = None,
    seed: int = 0,
    say: Callable[[str], None] = print,
) -> list[str]:
    """Split `source` by capture, train GPT-2, generate as many flows as it learned from, judge them, write the report.

    Leaves ``flows/train.parquet``, ``flows/test.parquet``, ``model/``, ``synthetic.parquet`` and
    ``report.{html,md,json}`` in `output`; `say` is told of every step.

    Returns:
        Three lines that say what was made and where it is.
    """
    begun = time.perf_counter()

    def step(line: str) -> None:
        say(f"[{time.perf_counter() - begun:5.0f} s] {line}")

    step(f"splitting {source} by capture")
    parts = split_flows(load_flows(source), by="capture", seed=seed)
    for name, part in parts.items():
        save_flows(part, output / "flows" / f"{name}.parquet")
    step(f"training GPT-2 on {len(parts['train']):,} flows of {len(set(parts['train']['label']))} classes")
    settings = QUICK if epochs is None else QUICK | {"epochs": epochs, "max_steps": None}
    place = {"output_dir": str(output / "model"), "overwrite": True, "checkpoint_every": 0}
    config = TrainingConfig.recipe("gpt2", **settings, **place, seed=seed)
    train(parts["train"], config)
    step("generating as many flows of each class")
    synthetic = FlowGenerator.from_pretrained(output / "model").generate(
        label=Counter(parts["train"]["label"]), seed=seed
    )
    save_flows(synthetic, output / "synthetic.parquet")
    step("judging them beside real flows and baselines")
    result = evaluate_flows(**parts, synthetic=synthetic, max_packets=config.max_packets, seed=seed)
    paths = write_report(result, output)
    say(headline(result))
    step("done")
    return [
        f"{output / 'model'}: a GPT-2 of flows, trained on {len(parts['train']):,} flows",
        f"{output / 'synthetic.parquet'}: {len(synthetic):,} new flows",
        f"{paths['html']}: the report that judges them",
    ]
