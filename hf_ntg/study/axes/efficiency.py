"""Costs of a generator: training, storage, generation."""

from __future__ import annotations

from pathlib import Path

from safetensors import safe_open
from torch.utils.flop_counter import FlopCounterMode

from hf_ntg.study.axes.bench import Fitted, Workbench
from hf_ntg.study.axes.meter import Meter
from hf_ntg.study.plan import Run

__all__ = ["judge_efficiency"]

ALONE, TOGETHER = 8, 1_000


def judge_efficiency(run: Run, bench: Workbench) -> dict:
    """Train the generator of `run` if needed, and measure its costs.

    ``parameters`` counts all stored numbers of any type. ``flops_alone`` is the mean over 8 flows that are generated
    one by one, ``flops_together`` that of 1,000 generated at once. torch's counter covers matrix products, convolutions
    and attention, so generators without torch have none. ``flows_per_second`` is measured on one draw of as many flows
    as the training set has, with this process's threads.
    """
    fitted = bench.generator(run.flows, run.by, run.seed, run.model)
    notes = []
    if fitted.facts["resumed"]:
        notes.append("its training was interrupted and resumed, so its cost is unknown")
    split = bench.split(run.flows, run.by, run.seed)
    with Meter() as drawing:
        made = fitted.generator.generate(label=split.counts, seed=run.seed)
    measures = {name: value for name, value in fitted.facts.items() if name.startswith("training_")}
    measures |= {
        "parameters": _numbers_kept(fitted.folder),
        "disk_mib": sum(path.stat().st_size for path in _files(fitted)) / 2**20,
        "flows_per_second": len(made) / drawing.seconds,
        "flows_per_cpu_second": len(made) / max(drawing.cpu_seconds, 1e-9),
        "drawing_peak_mib": drawing.peak_mib,
        "flops_alone": sum(_flops(fitted, 1, seed) for seed in range(ALONE)) / ALONE or None,
        "flops_together": _flops(fitted, TOGETHER, 0) / TOGETHER or None,
    }
    if measures["flops_alone"] is None:
        notes.append("generation uses no matrix products of torch, so no FLOPs are counted")
    details = {"drawn": len(made), "trained_on": fitted.facts.get("device")}
    return {"measures": measures, "details": details, "notes": notes}


def _flops(fitted: Fitted, num_flows: int, seed: int) -> int:
    with FlopCounterMode(display=False) as counter:
        fitted.generator.generate(num_flows, seed=seed)
    return counter.get_total_flops()


def _files(fitted: Fitted) -> list[Path]:
    return [path for path in fitted.folder.rglob("*") if path.is_file() and path.name != "study.json"]


def _numbers_kept(folder: Path) -> int:
    """Numbers in the safetensors files of `folder`. Tied weights are stored and counted once."""
    total = 0
    for path in folder.rglob("*.safetensors"):
        with safe_open(path, "numpy") as file:
            for name in file.keys():  # noqa: SIM118 (not a mapping)
                shape, size = file.get_slice(name).get_shape(), 1
                for side in shape:
                    size *= side
                total += size
    return total
