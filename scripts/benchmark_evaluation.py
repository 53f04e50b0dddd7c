"""Time the whole fidelity report, and every metric in it, as the number of flows grows.

    python scripts/benchmark_evaluation.py [FLOWS] [--sizes 10000 31623 100000] [--jitter BYTES]

Training, test and synthetic flows, N of each, are three draws of a 4-gram fitted on FLOWS (the bundled ones where none
are named). Payload lengths move by up to ``--jitter`` bytes, so that flows do not recur as often as traffic does: the
harder case for everything that sorts or looks for neighbours. Each size runs in a process of its own, for its peak
memory. Printed: CPU seconds (all threads together, so that a busy machine does not blur them) of each metric over its
four columns, the exponent of their growth between the smallest and the largest size, and the whole report's seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import replace

import numpy as np

from hf_ntg import evaluate_flows, load_flows
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.metrics import fidelity
from hf_ntg.models.baselines import make_baseline


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("flows", nargs="?", default="loopback", help="flow table, or 'loopback'")
    parser.add_argument("--sizes", nargs="+", type=int, default=[10_000, 31_623, 100_000])
    parser.add_argument("--jitter", type=int, default=2, metavar="BYTES")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.flows, arguments.sizes[0], arguments.jitter)))
        return
    runs = []
    for size in sorted(arguments.sizes):
        own = [__file__, arguments.flows, "--one", "--sizes", str(size), "--jitter", str(arguments.jitter)]
        done = subprocess.run([sys.executable, *own], stdout=subprocess.PIPE, text=True, check=True)
        runs.append(json.loads(done.stdout))
        print(f"{size:,} flows: {runs[-1]['wall']:.1f} s", file=sys.stderr, flush=True)
    print(as_markdown(runs))


def measure(source: str, size: int, jitter: int) -> dict:
    """Of the report on `size` flows against `size`: seconds, CPU seconds of each metric, peak memory (GiB)."""
    model = make_baseline("4-gram").fit(load_flows(source))
    sets = [_moved(model.generate(size, seed=seed), jitter, seed).to_dataset() for seed in range(3)]
    seconds: dict[str, float] = defaultdict(float)

    def timed(name, compute):
        def run(*given, **options):
            started = time.process_time()
            found = compute(*given, **options)
            seconds[name] += time.process_time() - started
            return found

        return run

    fidelity.METRICS = tuple(replace(m, compute=timed(m.name, m.compute)) for m in fidelity.METRICS)
    started, cpu = time.perf_counter(), time.process_time()
    evaluate_flows(*sets)
    wall, cpu = time.perf_counter() - started, time.process_time() - cpu
    others = cpu - sum(seconds.values())
    return {
        "flows": size,
        "cpu": {**seconds, "baselines, views, profiles": others, "whole report": cpu},
        "wall": wall,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def _moved(flows, jitter: int, seed: int) -> FlowArrays:
    """`flows` with payload lengths, but for empty packets, moved by up to `jitter` bytes."""
    arrays = FlowArrays.from_dataset(flows)
    step = np.random.default_rng(seed).integers(-jitter, jitter + 1, len(arrays.payload_length))
    moved = np.maximum(arrays.payload_length + step, 1).astype(np.int32)
    return replace(arrays, payload_length=np.where(arrays.payload_length > 0, moved, 0))


def as_markdown(runs: list[dict]) -> str:
    """One line a metric, and the growth between the first and the last run."""
    sizes = [run["flows"] for run in runs]
    lines = [
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, NumPy {np.__version__}",
        "",
        "| CPU seconds | " + " | ".join(f"{size:,}" for size in sizes) + " | exponent |",
        "|---|" + "--:|" * (len(sizes) + 1),
    ]
    for name in runs[-1]["cpu"]:
        taken = [run["cpu"][name] for run in runs]
        growth = np.log(taken[-1] / taken[0]) / np.log(sizes[-1] / sizes[0]) if len(sizes) > 1 else float("nan")
        lines.append(f"| {name} | " + " | ".join(f"{value:.2f}" for value in taken) + f" | {growth:.2f} |")
    lines.append("| whole report, seconds on the clock | " + " | ".join(f"{run['wall']:.1f}" for run in runs) + " | |")
    lines.append("| peak memory, GiB | " + " | ".join(f"{run['memory']:.2f}" for run in runs) + " | |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
