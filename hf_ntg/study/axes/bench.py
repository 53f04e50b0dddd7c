"""The workbench of a study: flows, splits, fitted generators and their synthetic flows, each made once."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, concatenate_datasets

import hf_ntg
from hf_ntg.files import write_text
from hf_ntg.flows import load_flows, split_flows
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.view import flows_in_view
from hf_ntg.generation import FlowGenerator
from hf_ntg.models.baselines import BASELINE_FILE, make_baseline
from hf_ntg.study.axes.meter import Meter
from hf_ntg.study.plan import FINE_TUNED, FROM_COUNTS, FROM_PUBLIC, NONE, PAPER, REAL, SPLIT_SEED, Profile, Run
from hf_ntg.study.store import GENERATOR_LAYERS, code_fingerprint, digest
from hf_ntg.training.config import MACHINE_SETTINGS, MODEL_FAMILIES, TrainingConfig

__all__ = ["Fitted", "Split", "Workbench", "device_name", "fit_generator"]

FOLDS = 5  # of a split by capture; seeds that differ by this many share a fold
HELD_BACK = 0.05  # share of the training flows of a split by capture
_FACTS = "study.json"


@dataclass(frozen=True)
class Split:
    """Training and test flows, as tables and as arrays.

    Attributes:
        held_back: flows of the training captures that no generator sees, in a split by capture. What asks whether a
            generator has memorised its training flows compares with these.
        counts: number of training flows of each class.
    """

    train: Dataset
    test: Dataset
    train_arrays: FlowArrays
    test_arrays: FlowArrays
    held_back: FlowArrays | None
    counts: dict[str, int]

    @property
    def unseen(self) -> FlowArrays:
        """Real flows that no generator saw, of the training captures where possible."""
        return self.test_arrays if self.held_back is None else self.held_back


@dataclass(frozen=True)
class Fitted:
    """A fitted generator and its folder.

    Attributes:
        generator: the fitted generator.
        folder: the folder that it is saved in.
        facts: the cost of fitting (``training_seconds``, ``training_cpu_seconds``, ``training_peak_mib``; None after an
            interrupted training), ``device`` and ``code``.
    """

    generator: FlowGenerator
    folder: Path
    facts: dict[str, Any]


class Workbench:
    """Makes and caches what runs share. Each generator is trained once, in a folder that later runs reuse.

    Args:
        folder: folder of the study.
        sources: source of each flow table, by its name.
        profile: profile of the study.
        worker: name of this process among those that share the folder.
        redo_stale: train generators again that other code made.
    """

    def __init__(
        self,
        folder: Path,
        sources: dict[str, str],
        profile: Profile,
        *,
        worker: str = "0of1",
        redo_stale: bool = False,
    ) -> None:
        self.folder, self.sources, self.profile = folder, sources, profile
        self._worker, self._redo_stale = worker, redo_stale
        self.flows = lru_cache(maxsize=8)(self._load)
        self.split = lru_cache(maxsize=4)(self._split)
        self.fingerprint = lru_cache(maxsize=8)(self._fingerprint)
        self.generator = lru_cache(maxsize=1)(self._generator)
        self._drawn = lru_cache(maxsize=4)(self._draw)

    def settings_of(self, run: Run) -> dict[str, Any]:
        """Everything that determines the result of `run`, except the package's code."""
        settings = {
            "identity": run.identity(),
            "max_packets": self.profile.max_packets,
            "view": self.profile.view,
            "flows": self.fingerprint(run.flows),
            "hf_ntg": hf_ntg.__version__,
        }
        config = self.config_of(run)
        if config is not None:
            settings["training"] = self.training_settings(config)
        if run.axis == "privacy":
            public = run["start"] == FROM_PUBLIC
            return settings | ({"pretrained": self.fingerprint(self.other_table(run.flows))} if public else {})
        if run.axis != "augmentation":
            return settings | {"draws": self.steps_of_draws()}
        settings |= {name: getattr(self.profile, name) for name in ("filled_to", "shot_steps", "shot_classifiers")}
        if run["protocol"] == FINE_TUNED:
            settings["pretrained"] = self.fingerprint(self.other_table(run.flows))
        return settings

    def config(self, model: str, seed: int, **settings: Any) -> TrainingConfig:
        """The recipe of family `model` with the profile's settings, changed by `settings`."""
        training = {"view": self.profile.view, "max_packets": self.profile.max_packets, "seed": seed}
        training |= self.profile.training
        return TrainingConfig.recipe(model, **training | settings)

    def config_of(self, run: Run) -> TrainingConfig | None:
        """Settings of the training of the generator of `run`; None for a baseline.

        The settings of a private training come from the private recipe and the profile's ``private_training``.
        """
        if run.model not in MODEL_FAMILIES:
            return None
        if run.axis != "privacy":
            return self.config(run.model, run.seed)
        packets_only = {"header": False, "times": False}
        if run["epsilon"] == NONE or run["start"] == FROM_COUNTS:  # what is computed from private flows is private
            return self.config(run.model, run.seed, **packets_only)
        limits = {"view": self.profile.view, "max_packets": self.profile.max_packets, "seed": run.seed}
        private = {"epsilon": run["epsilon"]} | self.profile.private_training
        return TrainingConfig.recipe(run.model, **limits | packets_only | private)

    def other_table(self, flows: str) -> str:
        """The table that a generator is pre-trained on before it is fine-tuned on `flows`: the first other table."""
        return next(name for name in self.sources if name != flows)

    def code_of(self, run: Run) -> str:
        """Fingerprint of the code that made the generator of a finished `run`; it may differ from the current code."""
        paper = run.axis == "augmentation" and run["protocol"] == PAPER
        own = run.axis in ("augmentation", "privacy") or (run.axis == "training-length" and run["budget"] != 1)
        if run.model == REAL or (own and not paper):
            return code_fingerprint(GENERATOR_LAYERS)
        return self.generator(run.flows, run.by, SPLIT_SEED if paper else run.seed, run.model).facts["code"]

    def folder_of(self, run: Run) -> Path:
        """Folder for a generator that only `run` needs, while it runs."""
        return self.folder / "models" / f"{run.axis}-{digest(self.settings_of(run))}"

    def steps_of_draws(self) -> list[int]:
        """Sizes of successive draws, in training sets. Their running sums include the profile's times."""
        return np.diff([0, *sorted({1, *self.profile.times})]).tolist()

    def synthetic(self, run: Run, times: int = 1) -> Dataset:
        """`times` as many flows of each class as the generator of `run` was trained on: the first of one draw."""
        reached = np.cumsum(self.steps_of_draws()).tolist()
        parts = [self._drawn(run.flows, run.by, run.seed, run.model, k) for k in range(reached.index(times) + 1)]
        return parts[0] if len(parts) == 1 else concatenate_datasets(parts)

    def fit(self, model: str, flows: Dataset, config: TrainingConfig | None, folder: Path) -> Fitted:
        """Fit `model` to `flows` alone, and save it in `folder` atomically.

        An existing folder is reused. A killed training continues from its checkpoint.
        """
        if folder.is_dir():
            return self._open(folder)
        scratch = folder.with_name(f"{folder.name}.part-{self._worker}")
        resumed = scratch.exists()
        if config is not None:
            config = replace(config, output_dir=str(scratch), resume=True)
        with Meter() as meter:
            fit_generator(model, flows, config, scratch, self.profile.max_packets, self.profile.view)
        costs = {
            "training_seconds": meter.seconds,
            "training_cpu_seconds": meter.cpu_seconds,
            "training_peak_mib": meter.peak_mib,
        }
        facts = {"code": code_fingerprint(GENERATOR_LAYERS), "seen": len(flows), "resumed": resumed}
        facts["device"] = device_name() if config is not None else "cpu"
        facts |= dict.fromkeys(costs) if resumed else costs
        write_text(scratch / _FACTS, json.dumps(facts) + "\n")
        try:
            scratch.replace(folder)
        except OSError:  # another process of the study was faster
            if not folder.is_dir():
                raise
            shutil.rmtree(scratch)
        return self._open(folder)

    def _load(self, name: str) -> Dataset:
        """The flows of a table in the study's packet view, with class names as labels."""
        return flows_in_view(load_flows(self.sources[name]), self.profile.view)[0].to_dataset()

    def _split(self, name: str, by: str, seed: int) -> Split:
        """By random, a draw of its own for each seed. By capture, one of `FOLDS` folds, with some flows held back."""
        flows, held_back = self.flows(name), None
        if by == "capture":
            folds = min(FOLDS, len(set(flows["capture"]))) if "capture" in flows.column_names else FOLDS
            parts = split_flows(flows, by=by, seed=SPLIT_SEED, fold=seed % folds, folds=folds)
            inner = split_flows(_labelled(parts["train"]), test_size=HELD_BACK, seed=seed)
            train, held_back = inner["train"], self._arrays(inner["test"])
        else:
            parts = split_flows(flows, by=by, seed=seed)
            train = _labelled(parts["train"])
        test = _labelled(parts["test"])
        return Split(
            train=train,
            test=test,
            train_arrays=self._arrays(train),
            test_arrays=self._arrays(test),
            held_back=held_back,
            counts=dict(sorted(Counter(train["label"]).items())),
        )

    def _arrays(self, flows: Dataset) -> FlowArrays:
        """Flows of :meth:`_load`, which name the view that they are in: real flows have no mark of it in a table."""
        return replace(FlowArrays.from_dataset(flows), view=self.profile.view)

    def _fingerprint(self, name: str) -> str:
        """A short hash of a table's flows."""
        arrays, seen = FlowArrays.from_dataset(self.flows(name)), hashlib.sha256()
        for field in fields(arrays):
            values = getattr(arrays, field.name)
            if isinstance(values, np.ndarray):
                seen.update(field.name.encode())
                seen.update(repr(values.tolist()).encode() if values.dtype == object else values.tobytes())
        return seen.hexdigest()[:16]

    def _generator(self, flows: str, by: str, seed: int, model: str) -> Fitted:
        config = self.config(model, seed) if model in MODEL_FAMILIES else None
        settings = {
            "flows": self.fingerprint(flows),
            "view": self.profile.view,
            "max_packets": self.profile.max_packets,
            "training": None if config is None else self.training_settings(config),
            "hf_ntg": hf_ntg.__version__,
        }
        folder = self.folder / "models" / f"{flows}-{by}-s{seed}-{model}-{digest(settings)}"
        if self._redo_stale and folder.is_dir() and self._facts(folder)["code"] != code_fingerprint(GENERATOR_LAYERS):
            shutil.rmtree(folder)
        return self.fit(model, self.split(flows, by, seed).train, config, folder)

    def _draw(self, flows: str, by: str, seed: int, model: str, step: int) -> Dataset:
        size = self.steps_of_draws()[step]
        wanted = {label: size * count for label, count in self.split(flows, by, seed).counts.items()}
        return self.generator(flows, by, seed, model).generator.generate(label=wanted, seed=100 * seed + step)

    def _open(self, folder: Path) -> Fitted:
        return Fitted(_open_generator(folder), folder, self._facts(folder))

    @staticmethod
    def _facts(folder: Path) -> dict[str, Any]:
        return json.loads((folder / _FACTS).read_text(encoding="utf-8"))

    @staticmethod
    def training_settings(config: TrainingConfig) -> dict[str, Any]:
        return {name: value for name, value in asdict(config).items() if name not in MACHINE_SETTINGS}


def fit_generator(
    model: str, flows: Dataset, config: TrainingConfig | None, folder: Path, max_packets: int, view: str
) -> None:
    """Fit `model` to `flows` and save it in `folder`. Every generator of a study is fitted by this function.

    Args:
        config: settings of a learned family; None for a baseline.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if config is None:
        make_baseline(model).fit(flows, max_packets, view).save(folder / BASELINE_FILE)
    else:
        from hf_ntg.training import train

        train(flows, config)


def device_name() -> str:
    """The device of this process: the name of the GPU, or ``cpu``."""
    import torch
    from accelerate import PartialState

    device = PartialState().device
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _open_generator(folder: Path) -> FlowGenerator:
    from accelerate import PartialState
    from diffusers.utils import logging

    logging.disable_progress_bar()  # diffusers shows one for every loaded pipeline
    return FlowGenerator.from_pretrained(folder, device=PartialState().device)


def _labelled(flows: Dataset) -> Dataset:
    known: Sequence[bool] = [label is not None for label in flows["label"]]
    return flows if all(known) else flows.select(np.flatnonzero(known))
