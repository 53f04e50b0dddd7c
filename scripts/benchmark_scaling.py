"""How generation scales with flows, packets a flow, classes and vocabulary: a table and one figure.

    python scripts/benchmark_scaling.py model/ own.parquet --output scaling/

The curves over flows are those of `model`, with inter-arrival times and without. For the other curves a GPT-2 learns,
for a few hundred steps, flows made from the table: chained to the number of packets, classes split at random, lengths
cut to the vocabulary. Every figure is of a process of its own, so that the peak of its memory is its own too. A
finished point is kept and not measured again.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from timing import counted_tokens, machine

from hf_ntg import FlowGenerator, TrainingConfig, load_flows, train
from hf_ntg.files import write_text
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.report.plots import REAL, STYLE, SYNTHETIC, add_legend, save_figure

AXES = {
    "flows": [1_000, 10_000, 100_000],
    "flows with times": [1_000, 10_000, 100_000],
    "packets": [10, 16, 32],
    "classes": [10, 100, 1_000],
    "vocabulary": [500, 1_000, 2_000, 3_000],
}
PANELS = {  # title, and the axes that are drawn there
    "flows of the request": ("flows with times", "flows"),
    "packets of a flow": ("packets",),
    "classes of the model": ("classes",),
    "words of the vocabulary": ("vocabulary",),
}
FLOWS = 10_000  # drawn for a point of the other axes
FLOWS_LEARNED = 8_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="folder or Hub id of a causal model")
    parser.add_argument("flows", help="flow table for the models of the other axes")
    parser.add_argument("--output", type=Path, required=True, help="folder for scaling.jsonl and scaling.png")
    parser.add_argument("--steps", type=int, default=300, help="of training, for a point of the other axes")
    parser.add_argument("--axes", nargs="+", choices=AXES, default=list(AXES), help="what to measure; default all")
    parser.add_argument("--point", nargs=2, help=argparse.SUPPRESS)  # what a child process measures
    arguments = parser.parse_args()
    if arguments.point:
        axis, value = arguments.point
        print(json.dumps(measure(arguments, axis, int(value))))
        return
    print(machine())
    arguments.output.mkdir(parents=True, exist_ok=True)
    path = arguments.output / "scaling.jsonl"
    points = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    for axis in arguments.axes:
        for value in AXES[axis]:
            if not any(point["axis"] == axis and point["value"] == value for point in points):
                again = [sys.executable, *sys.argv, "--point", axis, str(value)]
                done = subprocess.run(again, stdout=subprocess.PIPE, text=True, check=True)
                points.append(json.loads(done.stdout.splitlines()[-1]))
                write_text(path, "".join(json.dumps(point) + "\n" for point in points))
            print(
                in_words(next(point for point in points if point["axis"] == axis and point["value"] == value)),
                flush=True,
            )
    draw(points, arguments.output / "scaling.png")


def measure(arguments: argparse.Namespace, axis: str, value: int) -> dict:
    """Draw flows and say what it took."""
    if axis in PANELS["flows of the request"]:
        return drawn(FlowGenerator.from_pretrained(arguments.model), axis, value, value, times=axis != "flows")
    rng = np.random.default_rng(0)
    flows = FlowArrays.from_dataset(load_flows(arguments.flows))
    flows = flows.take(rng.permutation(len(flows))[:FLOWS_LEARNED])
    packets = value if axis == "packets" else 10
    vocabulary = value if axis == "vocabulary" else 3_000
    if axis == "packets":
        flows = chained(flows, packets)
    if axis == "classes":
        places = rng.integers(0, value, len(flows))
        flows = replace(flows, label=np.array([f"class-{place}" for place in places], dtype=object))
    if axis == "vocabulary":
        flows = replace(flows, payload_length=np.minimum(flows.payload_length, vocabulary // 2 - 60))
    with tempfile.TemporaryDirectory() as folder:
        settings = {"max_packets": packets, "max_payload": vocabulary // 2 - 60, "checkpoint_every": 0}
        steps = max(1, round(arguments.steps * 64 / len(flows)))
        train(flows.to_dataset(), TrainingConfig(output_dir=folder, times=False, epochs=steps, **settings))
        return drawn(FlowGenerator.from_pretrained(folder), axis, value, FLOWS)


def chained(flows: FlowArrays, packets: int) -> FlowArrays:
    """Every flow repeated until it has `packets` packets, and cut there; times go."""
    rows = [np.resize(np.arange(*flows.offsets[place : place + 2]), packets) for place in range(len(flows))]
    longer = {name: getattr(flows, name)[np.concatenate(rows)] for name in ("payload_length", "direction")}
    offsets = np.arange(len(flows) + 1) * packets
    return replace(flows, offsets=offsets, inter_arrival_time=None, tcp_window=None, **longer)


def drawn(generator: FlowGenerator, axis: str, value: int, count: int, times: bool = False) -> dict:
    """What it takes to draw `count` flows, block after block, holding none of them."""
    generator.generate(1_000, times=times)
    with counted_tokens(generator.sampler.model) as tokens:
        started, cpu = time.perf_counter(), time.process_time()
        for _ in generator.stream(count, times=times):
            pass
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    return {
        "axis": axis,
        "value": value,
        "flows": count,
        "vocabulary": len(generator.sampler.tokenizer),
        "seconds": seconds,
        "cpu_seconds": cpu,
        "tokens_evaluated": sum(tokens),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def in_words(point: dict) -> str:
    rate, tokens = (point["flows"] / point["seconds"], point["tokens_evaluated"] / point["flows"])
    return (
        f"{point['axis']} {point['value']:>9,}: {rate:10,.0f} flows/s, {tokens:6.2f} tokens evaluated a flow, "
        f"{point['cpu_seconds']:.1f} CPU s, {point['peak_mib']:,.0f} MiB"
    )


def draw(points: list[dict], path: Path) -> None:
    """Seconds of CPU for 10,000 flows against every axis."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        measured = {point["axis"] for point in points}
        panels = {title: axes for title, axes in PANELS.items() if measured & set(axes)}
        figure = Figure(figsize=(2.6 * len(panels), 2.7), layout="constrained")
        grid = figure.subplots(1, len(panels), squeeze=False)[0]
        for (title, axes), panel in zip(panels.items(), grid, strict=True):
            shown = sorted({point["value"] for point in points if point["axis"] in axes})
            highest = 0.0
            for axis in filter(measured.__contains__, axes):
                own = [point for point in points if point["axis"] == axis]
                costs = [1e4 * point["cpu_seconds"] / point["flows"] for point in own]
                color, label = (SYNTHETIC, "with times") if "times" in axis else (REAL, "without times")
                style = {"marker": "o", "markersize": 3.5, "linewidth": 1.3}
                panel.plot([point["value"] for point in own], costs, color=color, label=label, **style)
                highest = max(highest, *costs)
            panel.set(xscale="log", ylim=(0, 1.15 * highest))
            panel.set_title(title, loc="left", fontsize=8, fontweight="bold")
            panel.set_xticks(shown, [f"{value:,}" for value in shown])
            panel.minorticks_off()
            panel.grid(axis="y", color="#eeeeee", linewidth=0.8)
            panel.set_axisbelow(True)
        figure.supxlabel("logarithmic scale", fontsize=8, color="#444444")
        figure.supylabel("CPU seconds for 10,000 flows", fontsize=8, color="#444444")
        add_legend(figure)
        save_figure(figure, path)


if __name__ == "__main__":
    main()
