"""CPU seconds that this checkout and an older commit of the project need for equally likely held-out packets.

    python scripts/benchmark_commits.py 1d03c4b loopback own.parquet --families gpt2 llama mamba

Commits may read flows and write tokens differently. Both therefore get the same two tables, which hold labels,
directions and payload lengths of the first packets with payload: neither learns times, ports, or which flows were cut.
Each commit trains its own recipe on them, in a process of its own, from a temporary git worktree. After every epoch the
held-out likelihood is measured, while the clock of CPU time stands still. The level to reach is the best one that both
commits reach. Time between two epochs is interpolated.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from timing import validation_curve

from hf_ntg import TrainingConfig, load_flows, split_flows, train

HERE = Path(__file__).resolve().parents[1]
COLUMNS = ("label", "capture", "payload_length", "direction")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit", help="the older commit")
    parser.add_argument("flows", nargs="+", help="flow tables, or 'loopback'")
    parser.add_argument("--families", nargs="+", default=["gpt2"], choices=["gpt2", "llama", "mamba"])
    parser.add_argument("--max-packets", type=int, default=10)
    parser.add_argument("--max-steps", type=int, help="of either recipe, for a shorter race")
    parser.add_argument("--keep", type=Path, help="JSON lines of finished curves, which are not measured again")
    parser.add_argument("--curve", action="store_true", help=argparse.SUPPRESS)  # what a child process measures
    arguments = parser.parse_args()
    if arguments.curve:
        print(json.dumps(curve(Path(arguments.flows[0]), arguments.families[0], arguments.max_steps)))
        return
    kept = Kept(arguments.keep)
    print("| table | model | level, nats a flow | CPU s, older | CPU s, ours | ratio | best, older | best, ours |")
    print("|---|---|--:|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as scratch, worktree(arguments.commit, Path(scratch)) as older:
        for source in arguments.flows:
            tables = Path(scratch) / Path(source).stem
            write_tables(source, arguments.max_packets, tables)
            for family in arguments.families:
                curves = []
                for name, folder in ((arguments.commit, older), (revision(), HERE)):
                    steps = [] if arguments.max_steps is None else ["--max-steps", str(arguments.max_steps)]
                    command = [sys.executable, __file__, "-", str(tables), "--families", family, "--curve", *steps]
                    key = [source, family, name, arguments.max_packets, arguments.max_steps]
                    curves.append(kept.get(key) or kept.add(key, output_of(command, folder)))
                print(as_row(source, family, *curves), flush=True)


@contextmanager
def worktree(commit: str, scratch: Path) -> Iterator[Path]:
    """A checkout of `commit` in the folder `scratch`."""
    folder = scratch / "checkout"
    git = ["git", "-C", str(HERE), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", str(folder), commit], check=True)
    try:
        yield folder
    finally:
        subprocess.run([*git, "remove", "--force", str(folder)], check=True)


def revision() -> str:
    """Name of the commit of this checkout; files that are not committed are not in it."""
    done = subprocess.run(["git", "-C", str(HERE), "describe", "--always", "--dirty"], capture_output=True, check=True)
    return done.stdout.decode().strip()


class Kept:
    """Curves by what they were measured for, in a file of JSON lines where one is given."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        lines = path.read_text().splitlines() if path is not None and path.exists() else []
        self.found = {json.dumps(key): found for key, found in map(json.loads, lines)}

    def get(self, key: list) -> list | None:
        return self.found.get(json.dumps(key))

    def add(self, key: list, found: list) -> list:
        if self.path is not None:
            with self.path.open("a") as file:
                file.write(json.dumps([key, found]) + "\n")
        return found


def output_of(command: list[str], checkout: Path) -> list:
    """The curve that a child process prints, with the package of `checkout`."""
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, cwd=checkout)
    return json.loads(done.stdout.decode().splitlines()[-1])


def write_tables(source: str, max_packets: int, folder: Path) -> None:
    """Write the training flows and the held-out flows (a tenth, drawn at random) of both commits."""
    from hf_ntg.flows.view import flows_in_view

    seen, _ = flows_in_view(load_flows(source), "payload")
    flows = seen.head(max_packets).to_dataset()
    flows = flows.select_columns([name for name in COLUMNS if name in flows.column_names])
    folder.mkdir()
    for name, part in split_flows(flows, by="random", test_size=0.1, seed=0).items():
        part.to_parquet(folder / f"{name}.parquet")


def curve(tables: Path, family: str, max_steps: int | None) -> list[tuple[float, float]]:
    """CPU seconds of training and held-out nats a flow after every epoch, by whichever checkout is imported."""
    from hf_ntg.training.objective_causal import CausalObjective

    given, held_out = (load_flows(str(tables / f"{name}.parquet")) for name in ("train", "test"))
    try:  # where either commit holds validation flows back
        home = importlib.import_module("hf_ntg.training.flow_sets")
    except ModuleNotFoundError:
        home = importlib.import_module("hf_ntg.training.loop")
    home._hold_back = lambda *_: (given, held_out)
    settings = {"times": False, "header": False, "validation_share": 0.1, "checkpoint_every": 0}
    settings |= {} if max_steps is None else {"max_steps": max_steps}
    clock = time.process_time
    with tempfile.TemporaryDirectory() as folder, validation_curve(CausalObjective, clock) as found:
        train(given, TrainingConfig.recipe(family, output_dir=folder, **settings))
    return found


def seconds_to(level: float, found: list[tuple[float, float]]) -> float:
    """CPU seconds until the curve first reaches `level`; interpolated between epochs, except before the first."""
    for place, (seconds, nats) in enumerate(found):
        if nats <= level:
            if place == 0:
                return seconds
            before, above = found[place - 1]
            return before + (seconds - before) * (above - level) / (above - nats)
    raise ValueError(f"{level}: not reached")


def as_row(source: str, family: str, older: list, ours: list) -> str:
    best = [min(nats for _, nats in found) for found in (older, ours)]
    level = max(best)
    taken = [seconds_to(level, found) for found in (older, ours)]
    cells = [f"{level:.2f}", *(f"{t:.0f}" for t in taken), f"{taken[0] / taken[1]:.1f}", *(f"{b:.2f}" for b in best)]
    return f"| {Path(source).stem} | {family} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
