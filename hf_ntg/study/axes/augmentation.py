"""What synthetic flows add where labelled flows are few.

Three protocols, which no table mixes. *Strict*: whatever helps out has seen the few flows and no other. *Paper*: the
generator has seen the whole training set, as when somebody hands on a trained generator in place of flows; it then
brings what the few flows do not hold, and replaying its training flows is as good as having them. *Fine-tuned*: the
generator was trained on another data set, then on the few flows.
"""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, concatenate_datasets

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.study.axes.bench import Split, Workbench
from hf_ntg.study.axes.classifiers import teach_and_test
from hf_ntg.study.axes.heuristics import perturb_flows
from hf_ntg.study.plan import ALL_REAL, FINE_TUNED, HEURISTICS, NONE, PAPER, SPLIT_SEED, STRICT, Run
from hf_ntg.training.config import MODEL_FAMILIES, TrainingConfig

__all__ = ["draw_few", "judge_augmentation", "longer"]

_FLOW_COLUMNS = ("label", "payload_length", "direction", "inter_arrival_time")
_FINE_TUNING_RATE = 0.25  # share of the recipe's learning rate


def judge_augmentation(run: Run, bench: Workbench) -> dict:
    """Teach classifiers by k real flows a class, brought to ``filled_to`` by synthetic ones, and test on real flows.

    The split is that of seed 0 in every run; the run's seed draws the k flows, trains the generator and the classifier.
    A class with fewer than k training flows gives all it has.
    """
    split = bench.split(run.flows, run.by, SPLIT_SEED)
    if run.model == ALL_REAL:
        few, taught = split.train, split.train
    else:
        few = draw_few(split.train, run["shots"], run.seed)
        taught = _filled(run, bench, split, few)
    arrays = FlowArrays.from_dataset(taught)
    measures: dict[str, float] = {}
    details: dict[str, Any] = {"real": len(few), "taught": len(taught)}
    for classifier in bench.profile.shot_classifiers:
        found = teach_and_test(classifier, split.test_arrays, arrays, bench.profile.max_packets, run.seed)
        measures |= {f"{classifier}.{name}": found[name] for name in ("macro_f1", "weighted_f1", "accuracy")}
        details[classifier] = {"per_class": found["per_class"]}
    return {"measures": measures, "details": details, "notes": []}


def draw_few(flows: Dataset, shots: int, seed: int) -> Dataset:
    """`shots` flows of every class, all of a class that has no more; drawn by `seed`, and nested: 5 are of the 10."""
    labels, rng = np.array(flows["label"]), np.random.default_rng(seed)
    rows = [rng.permutation(np.flatnonzero(labels == label))[:shots] for label in np.unique(labels)]
    return flows.select(np.sort(np.concatenate(rows)))


def longer(config: TrainingConfig, num_flows: int, steps: int) -> TrainingConfig:
    """`config` with as many epochs as `steps` optimizer steps need on `num_flows` flows, too short for checkpoints."""
    epochs = math.ceil(steps / math.ceil(num_flows / config.batch_size))
    return replace(config, epochs=epochs, max_steps=None, checkpoint_every=0)


def _filled(run: Run, bench: Workbench, split: Split, few: Dataset) -> Dataset:
    """The few flows, and synthetic ones up to ``filled_to`` of each class."""
    labels, have = np.unique(np.array(few["label"]), return_counts=True)
    missing = {
        label: bench.profile.filled_to - int(count)
        for label, count in zip(labels.tolist(), have, strict=True)
        if count < bench.profile.filled_to
    }
    if run["protocol"] == NONE or not missing:
        return few
    return _together(few, _synthetic(run, bench, split, few, missing))


def _synthetic(run: Run, bench: Workbench, split: Split, few: Dataset, wanted: dict[str, int]) -> Dataset:
    if run["protocol"] == PAPER:
        generator = bench.generator(run.flows, run.by, SPLIT_SEED, run.model).generator
        return generator.generate(label=wanted, seed=100 * run.seed)
    if run.model in HEURISTICS:
        return perturb_flows(few, run.model, wanted, run.seed, bench.profile.max_packets)
    config: TrainingConfig | None = None
    if run.model in MODEL_FAMILIES:
        config = longer(bench.config(run.model, run.seed), len(few), bench.profile.shot_steps)
    if run["protocol"] == FINE_TUNED:
        if config is None:
            raise InputError(f"{run.model}: only {', '.join(MODEL_FAMILIES)} can be fine-tuned")
        rate = _FINE_TUNING_RATE * config.learning_rate
        config = replace(config, initial_model=str(_pretrained(run, bench)), learning_rate=rate)
    elif run["protocol"] != STRICT:
        raise InputError(f"no protocol {run['protocol']!r}")
    fitted = bench.fit(run.model, few, config, bench.folder_of(run))
    made = fitted.generator.generate(label=wanted, seed=100 * run.seed)
    shutil.rmtree(fitted.folder)  # no other run asks for it
    return made


def _pretrained(run: Run, bench: Workbench) -> Path:
    """Folder of the model that is fine-tuned: the family's own of the study's first other table (random split)."""
    other = bench.other_table(run.flows)
    return bench.generator(other, "random", SPLIT_SEED, run.model).folder


def _together(real: Dataset, synthetic: Dataset) -> Dataset:
    """Both sets in the columns that classifiers see and both have."""
    columns = [name for name in _FLOW_COLUMNS if name in real.column_names and name in synthetic.column_names]
    return concatenate_datasets([real.select_columns(columns), synthetic.select_columns(columns)])
