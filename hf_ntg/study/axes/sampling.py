"""Quality and cost of diffusion schedulers and their numbers of steps."""

from __future__ import annotations

from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.metrics.copies import once_seen_copies
from hf_ntg.metrics.distance import timing_distance
from hf_ntg.metrics.divergence import flow_jsd
from hf_ntg.study.axes.bench import Workbench
from hf_ntg.study.axes.classifiers import train_and_test
from hf_ntg.study.axes.meter import Meter
from hf_ntg.study.plan import Run

__all__ = ["judge_sampling"]


def judge_sampling(run: Run, bench: Workbench) -> dict:
    """Generate as many flows as the training set has, with the scheduler and steps of `run`, and evaluate them."""
    split, width = bench.split(run.flows, run.by, run.seed), {"max_packets": bench.profile.max_packets}
    generator = bench.generator(run.flows, run.by, run.seed, run.model).generator
    options = {"scheduler": run["scheduler"], "num_inference_steps": run["steps"]}
    with Meter() as drawing:
        made = FlowArrays.from_dataset(generator.generate(label=split.counts, seed=100 * run.seed, **options))
    measures = {
        "flow_jsd": flow_jsd(split.test_arrays, made, **width)["overall"],
        "timing_distance": timing_distance(split.test_arrays, made, **width)["overall"],
        "macro_f1": train_and_test("random_forest", split.test_arrays, made, **width, seed=run.seed)["macro_f1"],
        "once_seen_copies": once_seen_copies(split.unseen, made, split.train_arrays, **width)["overall"],
        "flows_per_cpu_second": len(made) / max(drawing.cpu_seconds, 1e-9),
    }
    return {"measures": measures, "details": {}, "notes": []}
