"""Augmentation: how much synthetic flows help a classifier with few labelled flows.

There are four protocols, each with tables of its own:

- *Strict*: methods and generators see the few flows and no other.
- *With unlabelled*: they also see all other training flows, without labels.
- *Paper*: the generator was trained on the whole training set, as if a generator were published without its flows. It
  has then seen more than the few flows, and replaying its training flows is as good as having them.
- *Fine-tuned*: the generator was trained on another data set, then on the few flows.
"""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, concatenate_datasets

from hf_ntg.augmentation import augment
from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.study.axes.bench import Split, Workbench
from hf_ntg.study.axes.classifiers import train_and_test
from hf_ntg.study.axes.unlabelled import guess_by_library
from hf_ntg.study.plan import ALL_REAL, FINE_TUNED, NONE, PAPER, SPLIT_SEED, STRICT, WITH_UNLABELLED, Run
from hf_ntg.training.config import MODEL_FAMILIES, TrainingConfig

__all__ = ["draw_few", "judge_augmentation", "longer"]

_FLOW_COLUMNS = ("label", "payload_length", "direction", "inter_arrival_time")
_FINE_TUNING_RATE = 0.25  # share of the recipe's learning rate


def judge_augmentation(run: Run, bench: Workbench) -> dict:
    """Train classifiers on k real flows a class, topped up to ``filled_to`` flows, and test them on real flows.

    The split is that of seed 0 in every run; the run's seed draws the k flows, trains the generator and the classifier.
    From a class with fewer than k training flows, all are used.
    """
    split = bench.split(run.flows, run.by, SPLIT_SEED)
    if run.model == ALL_REAL:
        few, training = split.train, split.train
    else:
        few = draw_few(split.train, run["shots"], run.seed)
        training = _filled(run, bench, split, few)
    arrays = FlowArrays.from_dataset(training)
    measures: dict[str, float] = {}
    details: dict[str, Any] = {"real": len(few), "training_flows": len(training)}
    for classifier in bench.profile.shot_classifiers:
        found = train_and_test(classifier, split.test_arrays, arrays, bench.profile.max_packets, run.seed)
        measures |= {f"{classifier}.{name}": found[name] for name in ("macro_f1", "weighted_f1", "accuracy")}
        details[classifier] = {"per_class": found["per_class"]}
    return {"measures": measures, "details": details, "notes": []}


def draw_few(flows: Dataset, shots: int, seed: int) -> Dataset:
    """Draw `shots` flows of every class, or all that it has. With one seed, fewer shots are a subset of more."""
    return flows.select(_few_rows(flows, shots, seed))


def _few_rows(flows: Dataset, shots: int, seed: int) -> np.ndarray:
    labels, rng = np.array(flows["label"]), np.random.default_rng(seed)
    rows = [rng.permutation(np.flatnonzero(labels == label))[:shots] for label in np.unique(labels)]
    return np.sort(np.concatenate(rows))


def longer(config: TrainingConfig, num_flows: int, steps: int) -> TrainingConfig:
    """`config` with enough epochs for `steps` optimizer steps on `num_flows` flows, without checkpoints."""
    epochs = math.ceil(steps / math.ceil(num_flows / config.batch_size))
    return replace(config, epochs=epochs, min_steps=0, max_steps=None, max_memory=None, checkpoint_every=0)


def _filled(run: Run, bench: Workbench, split: Split, few: Dataset) -> Dataset:
    """The few flows and what the run adds to them, up to ``filled_to`` flows of each class."""
    if run["protocol"] == WITH_UNLABELLED:
        return _with_unlabelled(run, bench, split, few)
    if run["protocol"] == STRICT and run.model in bench.profile.shot_methods:
        return augment(few, run.model, per_class=bench.profile.filled_to, view=bench.profile.view, seed=run.seed)
    labels, have = np.unique(np.array(few["label"]), return_counts=True)
    missing = {
        label: bench.profile.filled_to - int(count)
        for label, count in zip(labels.tolist(), have, strict=True)
        if count < bench.profile.filled_to
    }
    if run["protocol"] == NONE or not missing:
        return few
    return _together(few, _synthetic(run, bench, split, few, missing))


def _with_unlabelled(run: Run, bench: Workbench, split: Split, few: Dataset) -> Dataset:
    """The few flows and other training flows with guessed labels.

    :func:`hf_ntg.augment` takes as many as are missing. scikit-learn's methods take all of them.
    """
    others = split.train.select(
        np.setdiff1d(np.arange(len(split.train)), _few_rows(split.train, run["shots"], run.seed))
    )
    if run.model == "guessed-labels":
        view, reached = bench.profile.view, bench.profile.filled_to
        return augment(few, per_class=reached, unlabelled=others, view=view, seed=run.seed)
    arrays = FlowArrays.from_dataset(few), FlowArrays.from_dataset(others)
    guessed = guess_by_library(run.model, *arrays, bench.profile.max_packets, run.seed)
    labelled = others.remove_columns("label").add_column("label", guessed.tolist(), feature=few.features["label"])
    return _together(few, labelled.select(np.flatnonzero(guessed != None)))  # noqa: E711 (element-wise)


def _synthetic(run: Run, bench: Workbench, split: Split, few: Dataset, wanted: dict[str, int]) -> Dataset:
    """Flows of the run's generator, fitted to what its protocol allows: ``wanted[label]`` of each class."""
    if run["protocol"] == PAPER:
        generator = bench.generator(run.flows, run.by, SPLIT_SEED, run.model).generator
        return generator.generate(label=wanted, seed=100 * run.seed)
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
    shutil.rmtree(fitted.folder)  # no other run needs it
    return made


def _pretrained(run: Run, bench: Workbench) -> Path:
    """Folder of the model that is fine-tuned: the same family, trained on another table (random split)."""
    other = bench.other_table(run.flows)
    return bench.generator(other, "random", SPLIT_SEED, run.model).folder


def _together(real: Dataset, synthetic: Dataset) -> Dataset:
    """Both sets in one table, with the columns that classifiers use and both sets have."""
    columns = [name for name in _FLOW_COLUMNS if name in real.column_names and name in synthetic.column_names]
    return concatenate_datasets([real.select_columns(columns), synthetic.select_columns(columns)])
