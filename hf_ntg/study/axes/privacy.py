"""The cost of differential privacy: usefulness, fidelity and copies for several epsilons, and without a guarantee.

Every generator learns directions and lengths of packets alone. Times and ports would take a share of the budget, and
the classifiers of this axis do not see them. A private training has three possible starts:

- *Fresh*: random weights.
- *Public*: a model of the same sizes that was trained on all flows of another table, as if that table were public.
- *Counts*: there is no private training of the weights. A ``private-n-gram`` gets the whole budget, and the ordinary
  recipe trains on its flows. What is computed from the flows of a private generator has the same guarantee.

The scores compare with real flows, so they are not private themselves.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from datasets import Dataset

from hf_ntg.constants import PRIVATE_COUNTS
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.metrics.registry import RealFlows, find_metric, measure
from hf_ntg.study.axes.bench import Fitted, Workbench
from hf_ntg.study.plan import FROM_COUNTS, FROM_PUBLIC, NONE, REAL, SPLIT_SEED, Run
from hf_ntg.study.store import digest

__all__ = ["judge_privacy"]

_COLUMNS = ("label", "payload_length", "direction")
_MEASURES = {"macro_f1": "tstr", "flow_jsd": "flow_jsd", "c2st": "c2st", "once_seen_copies": "once_seen_copies"}


def judge_privacy(run: Run, bench: Workbench) -> dict:
    """Train the generator of `run`, and evaluate as many flows as it was trained on.

    The generator chooses the classes of its flows: the shares of the classes are part of what the guarantee covers.
    """
    split = bench.split(run.flows, run.by, run.seed)
    real = RealFlows(
        _packets_only(split.train_arrays),
        _packets_only(split.test_arrays),
        None if split.held_back is None else _packets_only(split.held_back),
    )
    made: FlowArrays | None = None
    facts: dict[str, Any] = {}
    if run.model != REAL:
        scratch = bench.folder_of(run)
        made, facts = _fit_and_generate(run, bench, split.train.select_columns(_COLUMNS), scratch)
        for folder in scratch.parent.glob(f"{scratch.name}*"):  # no other run needs it
            shutil.rmtree(folder)
    found = {
        name: measure(find_metric(metric), real, made, bench.profile.max_packets, run.seed)
        for name, metric in _MEASURES.items()
    }
    measures = {name: result["overall"] for name, result in found.items()}
    notes = [f"{name}: {result['reason']}" for name, result in found.items() if result["overall"] is None]
    cost = facts.pop("training_cpu_seconds", None)
    return {"measures": measures | {"training_cpu_seconds": cost}, "details": facts, "notes": notes}


def _packets_only(flows: FlowArrays) -> FlowArrays:
    return FlowArrays(flows.offsets, flows.payload_length, flows.direction, flows.label, cut=flows.cut, view=flows.view)


def _fit_and_generate(run: Run, bench: Workbench, flows: Dataset, folder: Path) -> tuple[FlowArrays, dict[str, Any]]:
    """Flows of the generator of `run`, as many as `flows`; its guarantee (``privacy``) and CPU seconds of training."""
    config, count, seed = bench.config_of(run), len(flows), 100 * run.seed
    counting = f"{PRIVATE_COUNTS}:{run['epsilon']:g}" if run["epsilon"] != NONE else ""
    privacy = None
    if run["start"] == FROM_COUNTS:
        counts = bench.fit(counting, flows, None, folder.with_name(f"{folder.name}-counts"))
        flows, privacy = counts.generator.generate(count, seed=seed), counts.generator.privacy
    elif run["start"] == FROM_PUBLIC:
        assert config is not None
        config = replace(config, initial_model=str(_public(run, bench, config.width, config.layers).folder))
    fitted = bench.fit(counting if run.model == PRIVATE_COUNTS else run.model, flows, config, folder)
    facts = {"privacy": privacy or fitted.generator.privacy, "trained_on": fitted.facts["device"]}
    facts["training_cpu_seconds"] = fitted.facts["training_cpu_seconds"]
    return FlowArrays.from_dataset(fitted.generator.generate(count, seed=seed)), facts


def _public(run: Run, bench: Workbench, width: int | None, layers: int | None) -> Fitted:
    """The model that a private training starts from: of the other table, with the sizes of the private model."""
    other = bench.other_table(run.flows)
    config = bench.config(run.model, SPLIT_SEED, header=False, times=False, width=width, layers=layers)
    settings = {"flows": bench.fingerprint(other), "training": bench.training_settings(config)}
    folder = bench.folder / "models" / f"{other}-public-{run.model}-{digest(settings)}"
    flows = bench.flows(other)
    known = flows.select([place for place, label in enumerate(flows["label"]) if label is not None])
    return bench.fit(run.model, known.select_columns(_COLUMNS), config, folder)
