"""How fast causal models learn: steps against stock transformers, time to a held-out likelihood against others.

    python scripts/benchmark_training.py train.parquet --epochs 4
    python scripts/benchmark_training.py train.parquet --parts neighbours --epochs 2 --neighbours 0 1 2

Prints, for one machine in one run:

- steps: seconds of a training step of 256 flows of 24 tokens for every family (median after a warm-up), the share of
  the measured matrix-product peak, and Mamba's time against that of the stock class;
- likelihood: seconds until the held-out likelihood that our loop reaches after `--epochs`, for our loop and for
  ``transformers.Trainer`` with its default settings and with our batch size and rate;
- processes: the steps of two processes of one thread against those of one;
- neighbours: CPU seconds of a training of two threads next to 0, 1 and 2 programs that keep a core busy each, started
  from the command line, from Python, in pytest, and from Python that imported torch before this package.

``benchmark_commits.py`` compares with an older commit.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from timing import machine, matmul_peak, median_seconds, validation_curve
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, Trainer, TrainerCallback, TrainingArguments

from hf_ntg import TrainingConfig, load_flows, split_flows, train
from hf_ntg.flows.view import flows_in_view
from hf_ntg.models.causal_lm import CAUSAL_FAMILIES, build_causal_lm
from hf_ntg.training.objective_causal import CausalObjective, nats_per_flow

SHAPE = (256, 24)  # flows and tokens of the step that is timed
PATIENCE = 5.0  # times our seconds that a rival is given
PARTS = ("steps", "likelihood", "processes", "neighbours")
IN_PYTHON = """
from hf_ntg import TrainingConfig, load_flows, train
def test_training():
    config = TrainingConfig.recipe({family!r}, output_dir={output!r}, epochs={epochs}, checkpoint_every=0)
    train(load_flows({source!r}), config)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("flows", help="flow table with times")
    parser.add_argument("--family", default="gpt2", choices=CAUSAL_FAMILIES)
    parser.add_argument("--epochs", type=int, default=4, help="of the recipe's; what our loop has reached is the mark")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=["steps", "likelihood", "processes"])
    parser.add_argument("--neighbours", nargs="+", type=int, default=[0, 1, 2], help="numbers of busy programs")
    arguments = parser.parse_args()
    flows = load_flows(arguments.flows)
    print(f"{machine()}; {arguments.flows}")
    if "steps" in arguments.parts:
        time_steps(flows, arguments.repeats)
    if "likelihood" in arguments.parts:
        race(flows, arguments.family, arguments.epochs)
    if "processes" in arguments.parts:
        time_processes(arguments.flows, arguments.family)
    if "neighbours" in arguments.parts:
        time_neighbours(arguments.flows, arguments.family, arguments.epochs, arguments.neighbours)


def time_steps(flows: Dataset, repeats: int) -> None:
    """A step of every family, and of the stock Mamba."""
    peak, seconds = matmul_peak(), {}
    for family in CAUSAL_FAMILIES:
        objective = CausalObjective(TrainingConfig.recipe(family), flows, None)
        if objective.tokenizer.grammar.max_tokens < SHAPE[1]:
            raise SystemExit(f"{flows}: sentences of {SHAPE[1]} tokens are timed; give flows with times and headers")
        rows = distinct_longest(objective)
        batch = objective.collate(rows, np.random.default_rng(0))
        objective.module.train()
        seconds[family] = median_seconds(lambda o=objective, b=batch: backward(o.module(**b), o.module), repeats)
        body = sum(p.numel() for p in objective.module.model.base_model.parameters() if p.ndim > 1)
        flops = 6 * batch["sentences"].numel() * (body - objective.module.model.get_input_embeddings().weight.numel())
        print(f"{family}: {seconds[family]:.3f} s a step; its layers alone are {flops / seconds[family] / peak:.0%} of")
        print(f"  {peak / 1e9:.0f} GFLOP/s; {seconds[family] / seconds['gpt2']:.2f} times GPT-2's")
        if family == "mamba":
            stock = AutoModelForCausalLM.from_config(objective.module.model.config).train()
            sentences = batch["sentences"]
            slow = median_seconds(lambda m=stock, s=sentences: backward(plain_loss(m, s), m), 1)
            print(f"  stock transformers: {slow:.3f} s, {slow / seconds[family]:.1f} times as long")


def distinct_longest(objective: CausalObjective) -> np.ndarray:
    """Rows of SHAPE[0] distinct sentences of full length, so that every family does the same work."""
    lengths = objective._lengths[objective._row]
    full = np.flatnonzero(lengths == lengths.max())
    _, first = np.unique(objective._row[full], return_index=True)
    return full[first[: SHAPE[0]]]


def plain_loss(model, sentences: torch.Tensor) -> torch.Tensor:
    logits = model(input_ids=sentences[:, :-1], use_cache=False).logits
    return F.cross_entropy(logits.flatten(0, 1), sentences[:, 1:].flatten(), ignore_index=0)


def backward(loss: torch.Tensor, module: torch.nn.Module) -> None:
    loss.backward()
    module.zero_grad()


def _held_back(family: str) -> TrainingConfig:
    return TrainingConfig.recipe(family, validation_share=0.1, checkpoint_every=0)


def race(flows: Dataset, family: str, epochs: int) -> None:
    """Seconds to the held-out likelihood that our loop has after the first `epochs` of its recipe."""
    config = _held_back(family)
    ours, mark = our_curve(flows, config, epochs)[-1]
    print(f"our loop, {family}, {epochs} epochs: {mark:.3f} nats a held-out flow after {ours:.1f} s")
    by = "capture" if "capture" in flows.column_names else "random"
    parts = split_flows(flows, by=by, test_size=config.validation_share, seed=config.seed)
    seen = [flows_in_view(parts[name], config.view)[0] for name in ("train", "test")]
    tokenizer = CausalObjective(config, seen[0], None).tokenizer
    sentences = [tokenizer.encode_flows(part).padded() for part in seen]
    own = {"per_device_train_batch_size": config.batch_size, "learning_rate": config.learning_rate}
    rivals = {
        "default settings": {},
        "default settings, but epochs without end": {"num_train_epochs": 1_000},
        "our batch, rate and epochs": own | {"num_train_epochs": config.epochs},
    }
    for name, settings in rivals.items():
        model = build_causal_lm(family, tokenizer, config.dropout, config.seed)
        found = trainer_curve(model, *sentences, mark, PATIENCE * ours, settings)
        reached = next((seconds for seconds, nats in found if nats <= mark), None)
        if reached is None:
            print(f"  Trainer, {name}: not in {found[-1][0]:.0f} s, at best {min(nats for _, nats in found):.2f} nats")
        else:
            print(f"  Trainer, {name}: {reached:.1f} s, {reached / ours:.1f} times as long")


def our_curve(flows: Dataset, config: TrainingConfig, epochs: int) -> list[tuple[float, float]]:
    """Seconds of training, and held-out nats, after each of the first `epochs`."""
    with tempfile.TemporaryDirectory() as folder, validation_curve(CausalObjective, time.perf_counter, epochs) as curve:
        config.output_dir = folder
        train(flows, config)
    return curve


def trainer_curve(model, training, validation, mark, limit, settings) -> list[tuple[float, float]]:
    """Seconds of ``Trainer`` and held-out nats, until `mark` is reached, `limit` seconds are over, or it ends."""
    labels = np.where(training == 0, -100, training)
    labels[:, 0] = -100
    examples = Dataset.from_dict({"input_ids": training.tolist(), "labels": labels.tolist()}).with_format("torch")
    watch = Watch(model, validation, mark, limit)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(folder, report_to="none", save_strategy="no", disable_tqdm=True, **settings)
        trainer = Trainer(model, arguments, train_dataset=examples, callbacks=[watch])
        watch.started = time.perf_counter()
        trainer.train()
    watch.look()
    return watch.curve


class Watch(TrainerCallback):
    """Looks at the held-out likelihood now and then, with the clock stopped."""

    def __init__(self, model, validation, mark: float, limit: float) -> None:
        self.model, self.validation, self.mark, self.limit = model, validation, mark, limit
        self.started, self.paused, self.next_look, self.curve = 0.0, 0.0, 2.0, []

    def spent(self) -> float:
        return time.perf_counter() - self.started - self.paused

    def look(self) -> None:
        stopped = time.perf_counter()
        self.curve.append((self.spent(), float(nats_per_flow(self.model, self.validation).mean())))
        self.next_look = 1.1 * self.curve[-1][0]
        self.paused += time.perf_counter() - stopped

    def on_step_end(self, args, state, control, **others):
        if self.spent() >= self.next_look:
            self.look()
            control.should_training_stop = self.curve[-1][1] <= self.mark or self.spent() > self.limit


def time_processes(source: str, family: str) -> None:
    """Flows a second of one process of one thread, and of two."""
    rates = []
    for processes in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", str(processes)]
            options = ["-m", "hf_ntg.train", source, "--model", family, "--output", str(Path(folder) / "model")]
            environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
            taken = []
            for epochs in (1, 3):  # the difference leaves out starting up
                started = time.perf_counter()
                command = [*launch, *options, "--epochs", str(epochs), "--batch-size", "256", "--checkpoint-every", "0"]
                subprocess.run(command, env=environment, check=True, capture_output=True)
                taken.append(time.perf_counter() - started)
        rates.append(2 * len(load_flows(source)) / (taken[1] - taken[0]))
    print(f"processes of one thread: one {rates[0]:,.0f} flows/s, two {rates[1]:,.0f}, {rates[1] / rates[0]:.2f} times")


def time_neighbours(source: str, family: str, epochs: int, neighbours: list[int]) -> None:
    """CPU seconds of a training of two threads, by the way it is started and the number of busy programs beside it."""
    print("| started from | " + " | ".join(f"{count} neighbours, CPU s" for count in neighbours) + " | most / least |")
    print("|---|" + "--:|" * (len(neighbours) + 1))
    for way in ("the command line", "Python", "pytest", "Python, torch first"):
        taken = []
        for count in neighbours:
            with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
                for _ in range(count):
                    busy = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
                    stack.callback(busy.kill)
                taken.append(cpu_seconds(started_from(way, source, family, epochs, Path(folder))))
        cells = [f"{seconds:.1f}" for seconds in taken]
        print(f"| {way} | " + " | ".join(cells) + f" | {max(taken) / taken[0]:.2f} |", flush=True)


def started_from(way: str, source: str, family: str, epochs: int, folder: Path) -> list[str]:
    """The command that trains in `folder`."""
    output = str(folder / "model")
    if way == "the command line":
        options = ["--model", family, "--output", output, "--epochs", str(epochs), "--checkpoint-every", "0"]
        return [sys.executable, "-m", "hf_ntg.cli", "train", source, *options]
    test = folder / "test_training.py"
    body = IN_PYTHON.format(family=family, output=output, epochs=epochs, source=source)
    if way == "pytest":
        test.write_text(body)
        return [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(test)]
    test.write_text("import torch\n" * ("torch" in way) + body + "test_training()\n")
    return [sys.executable, str(test)]


def cpu_seconds(command: list[str]) -> float:
    """CPU seconds of a command that runs with two threads."""
    fresh = {name: value for name, value in os.environ.items() if not name.startswith(("GOMP_", "KMP_", "OMP_"))}
    child = subprocess.Popen(
        command, env=fresh | {"OMP_NUM_THREADS": "2"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert child.stdout is not None
    output = child.stdout.read()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(output.decode(errors="replace"))
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
