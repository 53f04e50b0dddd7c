"""Each synthesiser trained with its recommended settings, or with its training cut to a budget of CPU seconds.

A function learns from labelled flows and returns a function that draws so many of them. A synthesiser without a length
of training (copula, ARF) ignores the budget. Packet sizes take few values, so they are values of a list wherever a
synthesiser allows it: one that takes them as continuous misses all of them.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from rivals.forms import as_objects, as_packets, as_rows, from_objects, from_packets, from_rows
from rivals.private import PRIVATE

__all__ = ["LIBRARIES", "SYNTHESISERS", "Settings"]

Draw = Callable[[int], list[dict]]
TABLE = "flows"


@dataclass
class Settings:
    """What a training is given, and what it reports.

    Attributes:
        width: packets of a flow that are learned. seed: of everything random.
        budget: CPU seconds for training; None for the recommended length.
        uncounted: CPU seconds that went into measuring how fast a training is, which are not part of its cost.
        notes: what the training reports, such as its epochs.
    """

    width: int
    seed: int
    budget: float | None = None
    uncounted: float = 0.0
    notes: dict[str, Any] = field(default_factory=dict)


def copula(flows: pd.DataFrame, settings: Settings) -> Draw:
    """SDV's Gaussian copula for tables: fast, and without an order of packets."""
    from sdv.single_table import GaussianCopulaSynthesizer

    return _sdv_rows(flows, settings, GaussianCopulaSynthesizer)


def ctgan(flows: pd.DataFrame, settings: Settings) -> Draw:
    """SDV's conditional GAN for tables. Its 300 epochs are recommended; a budget is not kept."""
    from sdv.single_table import CTGANSynthesizer

    return _sdv_rows(flows, settings, CTGANSynthesizer, enable_gpu=False)


def _sdv_rows(flows: pd.DataFrame, settings: Settings, synthesizer: type, **options: Any) -> Draw:
    rows = as_rows(flows, settings.width)
    kinds = {name: {"sdtype": "categorical" if name == "label" else "numerical"} for name in rows.columns}
    model = synthesizer(_sdv_metadata({"columns": kinds}), **options)
    model.fit({TABLE: rows})
    return lambda count: from_rows(model.sample(count)[TABLE], settings.width)


def par(flows: pd.DataFrame, settings: Settings) -> Draw:
    """SDV's probabilistic auto-regressive model for sequences, which draws a packet a row for a given label."""
    from sdv.sequential import PARSynthesizer

    kinds = {"flow": "id", "label": "categorical", "packet": "numerical", "time": "numerical"}
    metadata = {"columns": {name: {"sdtype": kind} for name, kind in kinds.items()}, "sequence_key": "flow"}
    model = PARSynthesizer(_sdv_metadata(metadata), context_columns=["label"], cuda=False)
    model.fit({TABLE: as_packets(flows, settings.width)})
    return lambda count: from_packets(model.sample_sequences(count)[TABLE])


def _sdv_metadata(table: dict) -> Any:
    from sdv.metadata import Metadata

    return Metadata.load_from_dict({"tables": {TABLE: table}, "relationships": []})


def arf(flows: pd.DataFrame, settings: Settings) -> Draw:
    """Adversarial random forest (arfpy, defaults), with sizes as ordered categories."""
    from arfpy.arf import arf as forest

    rows = as_rows(flows, settings.width)
    listed = [name for name in rows if not name.startswith("time_")]
    model = forest(rows.astype(dict.fromkeys(listed, "category")), verbose=False, random_state=settings.seed)
    model.forde()
    settings.notes["rounds"] = len(model.acc) - 1
    return lambda count: from_rows(model.forge(count), settings.width)


def origami(flows: pd.DataFrame, settings: Settings) -> Draw:
    """Origami: an autoregressive transformer over JSON, a flow being an object with arrays of sizes and times.

    Recommended are the default settings, continuous numbers (``numeric_mode="scale"``) and, for drawing, a schema of
    the flows, without which a model of few steps does not end its arrays. (The schema that release 2.0.1 infers forbids
    continuous numbers inside arrays.) Its warm-up of 1,000 steps is cut to a tenth of the steps where the table is
    small. With a budget, the epochs are those that the measured cost of a few steps allows, so that the learning rate
    still falls to zero, and training stops in any case when the budget is used up.
    """
    from origami import DataConfig, InferenceConfig, OrigamiConfig, OrigamiPipeline, TrainingConfig
    from origami.training import TrainerCallback

    class Stop(TrainerCallback):
        def __init__(self, limit: float) -> None:
            self.limit, self.began = limit, time.process_time()

        def on_batch_end(self, *_: Any) -> None:
            if time.process_time() - self.began > self.limit:
                raise KeyboardInterrupt  # which the trainer takes as the end of the training

    def fitted(objects: list[dict], epochs: int, stop: float = float("inf")) -> Any:
        steps = epochs * max(1, len(objects) // 32)
        training = TrainingConfig(num_epochs=epochs, warmup_steps=min(1_000, steps // 10), eval_strategy="no")
        data, drawing = DataConfig(numeric_mode="scale", schema=schema), InferenceConfig(constrain_schema=True)
        pipeline = OrigamiPipeline(OrigamiConfig(training=training, data=data, inference=drawing, device="cpu"))
        pipeline.fit(objects, callbacks=[Stop(stop)])
        return pipeline

    import torch

    torch.manual_seed(settings.seed)
    objects, epochs = as_objects(flows, settings.width), 10
    schema = _schema_of(objects)
    if settings.budget is not None:
        began, sample = time.process_time(), objects[:: max(1, len(objects) // 128)]
        fitted(sample, 1)  # compiles
        compiled = time.process_time()
        fitted(sample, 1)
        ended = time.process_time()
        epochs = max(1, round(settings.budget / (ended - compiled) * len(sample) / len(objects)))
        settings.uncounted = ended - began
    pipeline = fitted(objects, epochs, settings.budget or float("inf"))
    settings.notes["epochs"] = epochs

    def draw(count: int) -> list[dict]:
        return from_objects(pipeline.generate(num_samples=count, batch_size=256, max_length=128, seed=settings.seed))

    return draw


def _schema_of(objects: list[dict]) -> dict:
    """A JSON schema of flows: the labels and sizes that occur, and arrays no longer than the longest."""

    def array(name: str, **items: Any) -> dict:
        lengths = [len(flow[name]) for flow in objects]
        return {"type": "array", "items": items, "minItems": min(lengths), "maxItems": max(lengths)}

    sizes = sorted({size for flow in objects for size in flow["sizes"]})
    labels = sorted({flow["label"] for flow in objects})
    fields = {
        "label": {"type": "string", "enum": labels},
        "sizes": array("sizes", type="string", enum=sizes),
        "times": array("times", type="number"),
    }
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def argn_flat(flows: pd.DataFrame, settings: Settings) -> Draw:
    """TabularARGN of mostlyai-engine for flat tables, a flow a row."""
    rows = as_rows(flows, settings.width)
    workspace = _argn(rows, settings, {name: _argn_kind(name) for name in rows})

    def draw(count: int) -> list[dict]:
        from mostlyai import engine

        engine.generate(workspace_dir=workspace.name, sample_size=count)
        return from_rows(_argn_drawn(workspace.name), settings.width)

    return draw


def argn_sequential(flows: pd.DataFrame, settings: Settings) -> Draw:
    """TabularARGN of mostlyai-engine for sequences: a packet a row, and the label as its context."""
    packets = as_packets(flows, settings.width)
    labels = pd.DataFrame({"flow": [f"flow-{index}" for index in range(len(flows))], "label": flows["label"]})
    keys = {"tgt_context_key": "flow", "ctx_primary_key": "flow", "ctx_data": labels}
    keys["ctx_encoding_types"] = {"label": _argn_kind("label")}
    packets = packets.drop(columns="label")
    workspace = _argn(packets, settings, {name: _argn_kind(name) for name in ("packet", "time")}, **keys)

    def draw(count: int) -> list[dict]:
        from mostlyai import engine

        wanted = labels["label"].sample(count, replace=True, random_state=settings.seed).reset_index(drop=True)
        context = pd.DataFrame({"flow": [f"flow-{index}" for index in range(count)], "label": wanted})
        engine.generate(workspace_dir=workspace.name, ctx_data=context)
        return from_packets(_argn_drawn(workspace.name).merge(context, on="flow"))

    return draw


def _argn_kind(name: str) -> str:
    """How a column is encoded: times in quantile bins, everything else as values of a list."""
    if name == "label":
        return "TABULAR_CATEGORICAL"
    return "TABULAR_NUMERIC_BINNED" if name.startswith("time") else "TABULAR_NUMERIC_DISCRETE"


def _argn(table: pd.DataFrame, settings: Settings, kinds: dict, **keys: Any) -> tempfile.TemporaryDirectory:
    """Train in a new workspace. Values are not protected: rare sizes would be replaced by others."""
    from mostlyai import engine

    workspace = tempfile.TemporaryDirectory()
    began, place = time.process_time(), {"workspace_dir": workspace.name}
    engine.set_random_state(settings.seed, worker=False)
    engine.split(tgt_data=table, tgt_encoding_types=kinds, model_type="TABULAR", **keys, **place)
    engine.analyze(value_protection=False, **place)
    engine.encode(**place)

    def stop(*_: Any, **__: Any) -> dict:
        return {"stopExecution": settings.budget is not None and time.process_time() - began > settings.budget}

    engine.train(device="cpu", update_progress=stop, **place)
    progress = pd.read_csv(next(Path(workspace.name).rglob("progress-messages.csv")))
    settings.notes["epochs"] = float(progress["epoch"].max())
    return workspace


def _argn_drawn(workspace: str) -> pd.DataFrame:
    return pd.read_parquet(Path(workspace) / "SyntheticData")


def realtabformer(flows: pd.DataFrame, settings: Settings) -> Draw:
    """REaLTabFormer: a GPT-2 over the digits of a row, of our models' size, for 80 epochs of one batch a step.

    Its own rule to stop draws so often that a CPU takes days, so it is left out; a budget is not kept.
    """
    from realtabformer import REaLTabFormer
    from transformers import GPT2Config

    settings.notes["epochs"] = 80
    with tempfile.TemporaryDirectory() as scratch:
        model = REaLTabFormer(
            model_type="tabular",
            tabular_config=GPT2Config(n_layer=4, n_head=4, n_embd=128),
            epochs=80,
            batch_size=64,
            gradient_accumulation_steps=1,
            random_state=settings.seed,
            learning_rate=1e-3,
            **{name: f"{scratch}/{name}" for name in ("checkpoints_dir", "samples_save_dir", "full_save_dir")},
        )
        model.fit(as_rows(flows, settings.width), device="cpu", n_critic=0)
    return lambda count: from_rows(model.sample(n_samples=count, device="cpu"), settings.width)


SYNTHESISERS: dict[str, Callable[[pd.DataFrame, Settings], Draw]] = {
    "arf": arf,
    "argn-flat": argn_flat,
    "argn-sequential": argn_sequential,
    "copula": copula,
    "ctgan": ctgan,
    "origami": origami,
    "par": par,
    "realtabformer": realtabformer,
    **PRIVATE,
}
LIBRARIES: dict[str, tuple[str, ...]] = {
    "arf": ("arfpy.arf",),
    "argn-flat": ("mostlyai.engine", "torch"),
    "argn-sequential": ("mostlyai.engine", "torch"),
    "copula": ("sdv.single_table",),
    "ctgan": ("sdv.single_table", "torch"),
    "origami": ("origami.training", "torch"),
    "par": ("sdv.sequential", "torch"),
    "realtabformer": ("realtabformer", "torch"),
    **dict.fromkeys(PRIVATE, ("snsynth.mst",)),
}
