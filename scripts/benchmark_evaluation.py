"""Time the whole evaluation, and every metric in it, as the number of flows grows.

    python scripts/benchmark_evaluation.py [FLOWS] [--sizes 10000 31623 100000] [--jitter BYTES]

Training, test and synthetic flows, N of each, are three draws of a 4-gram fitted on FLOWS (by default the bundled
flows). Payload lengths move by up to ``--jitter`` bytes, so that flows recur less often than in real traffic: the
harder case for everything that sorts or looks for neighbours. Each size runs in its own process, for its peak memory.
The script prints CPU seconds (all threads together, so that other work on the machine matters little) of each metric
for the synthetic flows, the exponent of their growth between the smallest and the largest size, CPU seconds and seconds
on the clock of the whole evaluation, which computes every metric for four sets in two threads, and peak memory.
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
from dataclasses import replace

import numpy as np

from hf_ntg import evaluate_flows, load_flows
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.generation import FlowGenerator
from hf_ntg.metrics.registry import METRICS, RealFlows
from hf_ntg.metrics.registry import measure as measure_metric
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
    """Seconds and CPU seconds of the evaluation of `size` flows, CPU seconds of each metric, peak memory (GiB)."""
    model = FlowGenerator(make_baseline("4-gram").fit(load_flows(source)))
    train, test, synthetic = (_moved(model.generate(size, seed=seed), jitter, seed) for seed in range(3))
    tables = [flows.to_dataset() for flows in (train, test, synthetic)]
    started, cpu = time.perf_counter(), time.process_time()
    evaluate_flows(*tables)
    wall, cpu = time.perf_counter() - started, time.process_time() - cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    seconds, real = {}, RealFlows(train.head(10), test.head(10))
    for metric in METRICS:
        started = time.process_time()
        measure_metric(metric, real, synthetic.head(10))
        seconds[metric.name] = time.process_time() - started
    return {"flows": size, "cpu": {**seconds, "whole evaluation": cpu}, "wall": wall, "memory": memory}


def _moved(flows, jitter: int, seed: int) -> FlowArrays:
    """`flows` with the payload lengths above 0 moved by up to `jitter` bytes."""
    arrays = FlowArrays.from_dataset(flows)
    step = np.random.default_rng(seed).integers(-jitter, jitter + 1, len(arrays.payload_length))
    moved = np.maximum(arrays.payload_length + step, 1).astype(np.int32)
    return replace(arrays, payload_length=np.where(arrays.payload_length > 0, moved, 0))


def as_markdown(runs: list[dict]) -> str:
    """A line for each metric, with its growth between the first and the last run."""
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
    lines.append(
        "| whole evaluation, seconds on the clock | " + " | ".join(f"{run['wall']:.1f}" for run in runs) + " | |"
    )
    lines.append("| peak memory, GiB | " + " | ".join(f"{run['memory']:.2f}" for run in runs) + " | |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
