"""Train other table synthesisers on flow tables, each in its own environment, and judge their flows like our own.

    python scripts/compare_rivals.py loopback my_flows.parquet --models gpt2 4-gram arf origami argn-flat \\
        --environments ~/.cache/rivals --output model_cards/study/rivals/results.jsonl
    python scripts/compare_rivals.py loopback --models gpt2 origami --lengths budget --seeds 0 --environments …

The first use of a synthesiser installs it: see scripts/rivals/environments.py for the pinned releases. It learns the
first packets of the training flows (label, sizes, directions, times), and scripts/measure_recipe.py judges its flows.
Families and baselines of hf_ntg can be named too; they also learn protocol and ports. ``mst-8`` and ``mst-1`` have
differential privacy at epsilon 8 and 1, and learn label, sizes and directions; compare them with ``private-n-gram:8``.

A synthesiser trains for its recommended length, and with ``--lengths budget`` for as many CPU seconds as the model
``--like`` took on the same flows, which must be measured before. A budget is skipped where the recommended length fits
into it. Each line of the output is one run, with its command, releases and commit. Lines that are there already are not
computed again, and a synthesiser that failed leaves a line with the reason.
"""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import subprocess
import sys
import tempfile
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import numpy as np
from measure_recipe import Cell, key_of, place_of, read_rows, report
from rivals.environments import PACKAGES, installed_python, versions

from hf_ntg import load_flows
from hf_ntg.flows.arrays import FlowArrays

SCRIPTS = Path(__file__).parent
RECOMMENDED, BUDGET = "recommended", "budget"
# Synthesisers and their environments. Those of the second line have no length of training to cut.
WITH_LENGTH = {"origami": "origami", "argn-flat": "mostlyai", "argn-sequential": "mostlyai"}
WITHOUT_LENGTH = {"arf": "arf", "copula": "sdv", "ctgan": "sdv", "par": "sdv", "realtabformer": "realtabformer"}
PRIVATE = {"mst-8": "smartnoise", "mst-1": "smartnoise"}  # differentially private, by their epsilon
ENVIRONMENTS = WITH_LENGTH | WITHOUT_LENGTH | PRIVATE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", help="flow tables, or 'loopback'")
    parser.add_argument("--models", nargs="+", default=["gpt2", "4-gram", "cvae", *WITH_LENGTH, *WITHOUT_LENGTH])
    parser.add_argument("--lengths", nargs="+", default=[RECOMMENDED, BUDGET], choices=(RECOMMENDED, BUDGET))
    parser.add_argument("--like", default="gpt2", help="the model whose training is the budget")
    parser.add_argument("--environments", type=Path, default=Path.home() / ".cache" / "hf_ntg-rivals")
    parser.add_argument("--by", default="random", choices=("random", "capture"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--view", default="payload", choices=("payload", "all"))
    parser.add_argument("--packets", type=int, default=10)
    parser.add_argument("--multiples", type=int, nargs="+", default=[1, 4], help="synthetic flows, in training sets")
    parser.add_argument("--draws", type=int, default=2, help="of each multiple")
    parser.add_argument("--classifiers", nargs="+", default=["random_forest"])
    parser.add_argument("--timeout", type=float, default=3_600, help="seconds for a synthesiser's training and drawing")
    parser.add_argument("--output", type=Path, default=Path("rivals.jsonl"))
    arguments = parser.parse_args()
    arguments.set = []  # our models train by their recipes
    for table in arguments.tables:
        for seed in arguments.seeds:
            compare(arguments, table, seed)
    print(report([row for row in read_rows(arguments.output) if "error" not in row]))


def compare(arguments: argparse.Namespace, table: str, seed: int) -> None:
    """Measure all models on one split, as far as the output lacks them."""
    cell = None
    for model in arguments.models:
        for length in arguments.lengths if model in WITH_LENGTH else [RECOMMENDED]:
            place = place_of(arguments, table, seed, model)
            place["settings"] = "" if length == RECOMMENDED else f"budget of {arguments.like}"
            rows = {key_of(row): row for row in read_rows(arguments.output)}
            if key_of(place) in rows:
                continue
            budget = None
            if length == BUDGET:
                budget = budget_of(list(rows.values()), place, arguments.like)
                whole = rows.get(key_of(place | {"settings": ""}), {}).get("fit_cpu_seconds")
                if whole is not None and whole <= budget:
                    continue
            cell = cell or Cell(arguments, table, seed)
            found = measure_rival(cell, model, budget) if model in ENVIRONMENTS else measure_own(cell, model)
            with arguments.output.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(place | found | origin()) + "\n")


def budget_of(rows: list[dict], place: dict, like: str) -> float:
    """CPU seconds that the training of `like` took on the same flows, however its flows were judged."""
    wanted = place | {"model": like, "settings": ""}
    same = ("table", "by", "seed", "view", "packets", "model", "settings")
    for row in rows:
        if all(row[name] == wanted[name] for name in same):
            return row["fit_cpu_seconds"]
    sys.exit(f"{place['table']}, seed {place['seed']}: measure {like} first; its training is the budget")


def measure_own(cell: Cell, model: str) -> dict:
    """A family or baseline of hf_ntg."""
    return cell.measure(model) | {"versions": {name: version(name) for name in ("hf_ntg", "torch", "transformers")}}


def measure_rival(cell: Cell, model: str, budget: float | None) -> dict:
    """Train a synthesiser in its environment, and judge its flows."""
    arguments = cell.arguments
    python = installed_python(ENVIRONMENTS[model], arguments.environments)
    sets = max(arguments.multiples) * arguments.draws
    found = {"budget_cpu_seconds": budget, "versions": versions(python, PACKAGES[ENVIRONMENTS[model]])}
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "train.parquet"
        cell.train_flows.to_parquet(source)
        command = [str(python), "-m", "rivals.train", model, str(source), "--output", scratch]
        command += ["--num-flows", str(sets * len(cell.train)), "--max-packets", str(arguments.packets)]
        command += ["--seed", str(cell.seed), *([] if budget is None else ["--budget", str(budget)])]
        reason = failure(command, arguments.timeout)
        if reason:
            print(f"{model}: {reason}", file=sys.stderr, flush=True)
            return found | {"error": reason}
        cost = json.loads((Path(scratch) / "cost.json").read_text(encoding="utf-8"))
        made = FlowArrays.from_dataset(load_flows(str(Path(scratch) / "flows.parquet")))
    made = made.take(np.random.default_rng(cell.seed).permutation(len(made)))
    size = len(made) // sets
    found |= {name: cost[name] for name in ("fit_cpu_seconds", "fit_seconds", "notes")}
    found |= {"asked": sets * len(cell.train), "read": cost["flows"]} | cell.facts()
    scores = {}
    for multiple in arguments.multiples:
        ends = [size * multiple * number for number in range(arguments.draws + 1)]
        draws = (made.take(np.arange(begin, end)) for begin, end in pairwise(ends))
        scores[str(multiple)] = cell.judge(draws, multiple)
    scores[str(min(arguments.multiples))]["flows_per_cpu_second"] = cost["flows"] / cost["draw_cpu_seconds"]
    return found | {"by_multiple": scores}


def failure(command: list[str], timeout: float) -> str:
    """Run `command`; why it failed, or an empty text."""
    try:
        ran = subprocess.run(
            command, cwd=SCRIPTS, stderr=subprocess.PIPE, stdout=sys.stderr, text=True, timeout=timeout
        )
    except subprocess.TimeoutExpired:
        return f"not done after {timeout:.0f} seconds"
    return "" if ran.returncode == 0 else (ran.stderr.strip().splitlines() or [f"exit code {ran.returncode}"])[-1]


def origin() -> dict:
    """Command, commit and machine of a row. Folders of the tables are left out."""
    words = [Path(word).name if word.endswith((".parquet", ".jsonl")) else word for word in sys.argv[1:]]
    if "--environments" in words:
        place = words.index("--environments")
        del words[place : place + 2]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=SCRIPTS, capture_output=True, text=True)
    command = shlex.join(["python", "scripts/compare_rivals.py", *words])
    return {"command": command, "commit": commit.stdout.strip(), "machine": platform.machine()}


if __name__ == "__main__":
    main()
