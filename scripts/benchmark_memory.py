"""Peak memory of the commands as the number of flows grows, one process each, and the bytes that a flow costs.

    python scripts/benchmark_memory.py --flows 100000 1000000
    python scripts/benchmark_memory.py --flows 1000000 5000000 --commands train --processes 2 --classes 1000

The flows are the bundled ones, drawn with replacement, with payload lengths moved by a few bytes, so that most are
distinct; they are written as Parquet shards. Training is stopped after a few steps: its vocabulary, bins and sentences
are made before the first one, and later steps hold no more. ``benchmark_io.py`` measures the reading and the writing of
captures. Peak memory is the largest resident set of any process of a command, as the kernel counts it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from hf_ntg import load_flows
from hf_ntg.flows import FlowArrays, save_flows

SHARD = 250_000
MIB = 1 << 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flows", nargs="+", type=int, default=[100_000, 1_000_000])
    parser.add_argument("--commands", nargs="+", choices=COMMANDS, default=["train", "split", "generate"])
    parser.add_argument("--processes", type=int, default=1, help="that train")
    parser.add_argument("--classes", type=int, default=28)
    parser.add_argument("--steps", type=int, default=5, help="of training")
    parser.add_argument("--train", type=Path, help=argparse.SUPPRESS)  # what a child process trains on
    arguments = parser.parse_args()
    if arguments.train:
        start_training(arguments.train, arguments.steps)
        return
    peaks: dict[str, list[int]] = {name: [] for name in arguments.commands}
    for count in arguments.flows:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            write_shards(count, arguments.classes, folder / "flows")
            for name in arguments.commands:
                peaks[name].append(peak_bytes(COMMANDS[name](folder, count, arguments)))
                print(f"{name}, {count:,} flows: {peaks[name][-1] / MIB:,.0f} MiB", flush=True)
    if len(arguments.flows) > 1:
        more = arguments.flows[-1] - arguments.flows[0]
        for name, found in peaks.items():
            print(f"{name}: {(found[-1] - found[0]) / more:,.0f} bytes a flow between the first and the last size")


def write_shards(count: int, classes: int, folder: Path) -> None:
    """Write `count` flows as Parquet files."""
    folder.mkdir()
    known = FlowArrays.from_dataset(load_flows())
    names = np.array([f"class-{place}" for place in range(classes)], dtype=object)
    rng = np.random.default_rng(0)
    for shard, first in enumerate(range(0, count, SHARD)):
        flows = known.take(rng.integers(0, len(known), min(SHARD, count - first)))
        moved = np.maximum(flows.payload_length + rng.integers(-3, 4, len(flows.payload_length)), 1).astype(np.int32)
        labels = flows.label if classes == len(set(known.label)) else names[rng.integers(0, classes, len(flows))]
        lengths = np.where(flows.payload_length > 0, moved, 0)
        save_flows(
            replace(flows, payload_length=lengths, label=labels, flow_id=None).to_dataset(),
            folder / f"{shard:05d}.parquet",
        )


def training(folder: Path, count: int, arguments: argparse.Namespace) -> list[str]:
    own = [__file__, "--train", str(folder / "flows"), "--steps", str(arguments.steps)]
    if arguments.processes == 1:
        return [sys.executable, *own]
    return [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", str(arguments.processes), *own]


def splitting(folder: Path, count: int, arguments: argparse.Namespace) -> list[str]:
    return ntg("split", folder / "flows", "--by", "random", "--output", folder / "parts")


def generating(folder: Path, count: int, arguments: argparse.Namespace) -> list[str]:
    model = folder / "model"
    if not model.exists():
        subprocess.run(
            ntg("train", "loopback", "--model", "4-gram", "--output", model), check=True, capture_output=True
        )
    return ntg("generate", model, "--num-flows", count, "--num-shards", -(-count // SHARD), "--output", folder / "made")


def evaluating(folder: Path, count: int, arguments: argparse.Namespace) -> list[str]:
    tables = [word for name in ("train", "test", "synthetic") for word in (f"--{name}", folder / "flows")]
    return ntg("evaluate", *tables, "--output", folder / "report")


def exporting(folder: Path, count: int, arguments: argparse.Namespace) -> list[str]:
    return ntg("export", folder / "flows", "--output", folder / "flows.pcapng")


COMMANDS = {
    "train": training,
    "split": splitting,
    "generate": generating,
    "evaluate": evaluating,
    "export": exporting,
}


def ntg(*words: object) -> list[str]:
    return [sys.executable, "-m", "hf_ntg.cli", *map(str, words)]


def peak_bytes(command: list[str]) -> int:
    """The largest resident set of the command's processes."""
    environment = os.environ | {"ACCELERATE_USE_CPU": "true"}
    child = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert child.stdout is not None
    output = child.stdout.read()
    _, status, used = os.wait4(child.pid, 0)  # counts the children that it has waited for, too
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(output.decode(errors="replace"))
    return used.ru_maxrss * 1024


class Enough(Exception):  # noqa: N818 (no error)
    """The steps that were wanted are done."""


def start_training(source: Path, steps: int) -> None:
    """Train as ``ntg train`` does, and end after `steps`."""
    from hf_ntg import TrainingConfig, train
    from hf_ntg.training.objective_causal import CausalObjective

    collate, done = CausalObjective.collate, 0

    def counted(*given):
        nonlocal done
        done += 1
        if done > steps:
            raise Enough
        return collate(*given)

    CausalObjective.collate = counted
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(Enough):
        train(load_flows(str(source)), TrainingConfig.recipe(output_dir=folder, checkpoint_every=0))


if __name__ == "__main__":
    main()
