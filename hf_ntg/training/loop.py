"""The one training loop: every family, one process or many, killed and resumed or not."""

from __future__ import annotations

import copy
import math
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import is_tensorboard_available, set_seed
from datasets import Dataset
from torch import nn
from torch.optim.swa_utils import AveragedModel
from tqdm.auto import tqdm

from hf_ntg.errors import InputError
from hf_ntg.flows.advice import training_warnings
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.schema import conform_flows
from hf_ntg.flows.split import split_flows
from hf_ntg.training.checkpoints import discard_checkpoints, restore_checkpoint, write_checkpoint
from hf_ntg.training.config import TrainingConfig
from hf_ntg.training.objective import Objective
from hf_ntg.training.run_record import record_run

__all__ = ["TrainingResult", "train"]


@dataclass
class TrainingResult:
    """What a run left.

    Attributes:
        folder: the model's folder.
        history: one dictionary an epoch: ``epoch``, ``loss`` (of the step weight's unit) and, where flows were held
            back, ``validation_loss``.
        best_weights: state of the averaged network at its best validation loss, while it is needed.
        num_processes: data-parallel processes that trained. is_main: whether this is the one that saved the model.
    """

    folder: Path
    num_processes: int = 1
    is_main: bool = True
    history: list[dict] = field(default_factory=list)
    best_weights: dict | None = None

    def state_dict(self) -> dict:
        return {"history": self.history, "best_weights": self.best_weights}

    def load_state_dict(self, state: dict) -> None:
        self.history, self.best_weights = state["history"], state["best_weights"]


def train(flows: Dataset, config: TrainingConfig) -> TrainingResult:
    """Train a generator on `flows` and save it to ``config.output_dir``, where ``FlowGenerator`` loads it.

    Runs under ``accelerate launch`` and ``torchrun`` as it does alone: a step's flows are dealt out over the processes,
    and its gradient is that of the whole step. The same seed gives the same model on one machine.

    Raises:
        InputError: the flows break the schema, or cannot be learned under `config`.
    """
    flows = conform_flows(flows, "training flows")
    if config.tracker == "tensorboard" and not is_tensorboard_available():
        raise InputError("tracker 'tensorboard' is not installed: pip install 'hf-ntg[tensorboard]'")
    folder = Path(config.output_dir)
    AcceleratorState._reset_state()  # of an earlier training in this process, which may have had another precision
    accelerator = Accelerator(
        mixed_precision=config.mixed_precision, log_with=config.tracker, project_dir=folder / "runs"
    )
    accelerator.init_trackers("hf_ntg")
    set_seed(config.seed)
    training, validation = _hold_back(flows, config)
    objective = _objective(config, training, validation)
    steps = math.ceil(objective.num_examples / config.batch_size)  # an epoch
    epochs = config.epochs if config.max_steps is None else max(1, min(config.epochs, config.max_steps // steps))
    if accelerator.is_main_process:
        for line in training_warnings(FlowArrays.from_dataset(training), config.max_packets, steps * epochs):
            warnings.warn(line, stacklevel=2)
    optimizer = torch.optim.AdamW(_decay_groups(objective.module, config.weight_decay), lr=config.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _rate_curve(config, steps * epochs))
    module, optimizer = accelerator.prepare(objective.module, optimizer)
    average = AveragedModel(accelerator.unwrap_model(module), multi_avg_fn=_moving_average(config.ema_decay))
    result = TrainingResult(folder, accelerator.num_processes, accelerator.is_main_process)
    accelerator.register_for_checkpointing(schedule, average, result)
    done = restore_checkpoint(accelerator, folder) if config.resume else 0
    with _progress(accelerator, steps, done, epochs) as bar:
        for epoch in range(done, epochs):
            started = time.perf_counter()
            loss = _run_epoch(objective, module, optimizer, schedule, average, accelerator, config, epoch, bar)
            record = {"epoch": epoch + 1, "loss": loss}
            rate = len(training) / (time.perf_counter() - started)
            if validation is not None:
                record["validation_loss"] = objective.validation_loss(average.module)
                if all(record["validation_loss"] < past["validation_loss"] for past in result.history):
                    result.best_weights = copy.deepcopy(average.module.state_dict())
            result.history.append(record)
            accelerator.log({name: value for name, value in record.items() if name != "epoch"}, step=epoch + 1)
            bar.set_postfix_str(_told(record, objective.unit, rate))
            if config.checkpoint_every and (epoch + 1) % config.checkpoint_every == 0 and epoch + 1 < epochs:
                write_checkpoint(accelerator, folder, epoch + 1)
    if config.keep == "best":
        average.module.load_state_dict(result.best_weights)
    if accelerator.is_main_process:
        objective.save(average.module, folder)
        config.save(folder)
        record_run(folder, training, epochs, steps * epochs, accelerator)
        discard_checkpoints(folder)
    accelerator.wait_for_everyone()
    accelerator.end_training()
    return result


def _run_epoch(
    objective: Objective,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    average: AveragedModel,
    accelerator: Accelerator,
    config: TrainingConfig,
    epoch: int,
    bar: tqdm,
) -> float:
    """One pass over the training examples; returns the mean loss."""
    module.train()
    # Dropout draws of its own on every process and in every epoch, so that a resumed run repeats them.
    torch.manual_seed(config.seed + 1_000_003 * (epoch + 1) + accelerator.process_index)
    total, steps = torch.zeros((), device=accelerator.device), 0
    for rows, rng in _batches(objective, config, epoch):
        share = rows[accelerator.process_index :: accelerator.num_processes]
        idle = not len(share)  # more processes than flows in the last batch: this one takes part, and adds nothing
        share = rows[:1] if idle else share
        batch = {name: part.to(accelerator.device) for name, part in objective.collate(share, rng).items()}
        with accelerator.autocast():
            loss = module(**batch)
        # Data-parallel wrappers average the processes' gradients; the step wants their sum.
        loss = loss * (0.0 if idle else accelerator.num_processes / (objective.mean_weight * len(rows)))
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(module.parameters(), config.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        average.update_parameters(accelerator.unwrap_model(module))
        total += loss.detach()
        steps += 1
        bar.update()
    return (accelerator.reduce(total, "mean") / steps).item()


def _batches(
    objective: Objective, config: TrainingConfig, epoch: int
) -> Iterator[tuple[np.ndarray, np.random.Generator]]:
    """The epoch's batches and a random stream for each, the same on every process.

    Batches are drawn whatever the sizes of their examples: in batches of like size a model first unlearns the share of
    the others, and trails behind both.
    """
    rng = np.random.default_rng([config.seed, epoch])
    order = rng.permutation(objective.num_examples)
    batches = [order[start : start + config.batch_size] for start in range(0, len(order), config.batch_size)]
    for place in rng.permutation(len(batches)):  # the last, which may be small, comes at any time
        yield batches[place], np.random.default_rng([config.seed, epoch, place])


def _hold_back(flows: Dataset, config: TrainingConfig) -> tuple[Dataset, Dataset | None]:
    """Training and validation flows: whole captures held back where captures are known and can be."""
    if config.validation_share == 0:
        if config.keep == "best":
            raise InputError("keep 'best' needs flows to validate on; give validation_share or keep 'last'")
        return flows, None
    known = "capture" in flows.column_names and None not in flows.unique("capture")
    by = "capture" if known and len(flows.unique("capture")) > 1 else "random"
    parts = split_flows(flows, by=by, test_size=config.validation_share, seed=config.seed)
    return parts["train"], parts["test"]


def _objective(config: TrainingConfig, training: Dataset, validation: Dataset | None) -> Objective:
    if config.model == "unet":
        from hf_ntg.training.objective_diffusion import DiffusionObjective

        return DiffusionObjective(config, training, validation)
    from hf_ntg.training.objective_causal import CausalObjective

    return CausalObjective(config, training, validation)


def _decay_groups(module: nn.Module, weight_decay: float) -> list[dict]:
    """Weight decay for matrices only; Mamba's state-space parameters ask for none themselves."""
    decayed, free = [], []
    for name, parameter in module.named_parameters():
        exempt = parameter.ndim < 2 or getattr(parameter, "_no_weight_decay", False) or name.endswith("A_log")
        (free if exempt else decayed).append(parameter)
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]


def _rate_curve(config: TrainingConfig, total: int):
    """Share of the peak rate at a step: a linear rise, then a cosine down to ``final_rate``."""
    rise = max(1, round(config.warmup * total))

    def share(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        fall = (step - rise) / max(1, total - rise)
        return config.final_rate + (1 - config.final_rate) * 0.5 * (1 + math.cos(math.pi * fall))

    return share


def _moving_average(decay: float):
    """Exponential moving average whose decay rises to `decay`, so that the first weights are soon forgotten."""

    @torch.no_grad()
    def update(averaged: list[torch.Tensor], current: list[torch.Tensor], steps: torch.Tensor) -> None:
        now = min(decay, (1 + int(steps)) / (10 + int(steps))) if decay else 0.0
        torch._foreach_lerp_(averaged, current, 1 - now)

    return update


def _progress(accelerator: Accelerator, steps: int, done: int, epochs: int) -> tqdm:
    quiet = not accelerator.is_main_process or not sys.stderr.isatty()
    return tqdm(total=steps * epochs, initial=steps * done, unit="step", desc="training", disable=quiet)


def _told(record: dict, unit: str, rate: float) -> str:
    parts = [f"loss {record['loss']:.3f}"]
    if "validation_loss" in record:
        parts.append(f"validation {record['validation_loss']:.3f} {unit}")
    return ", ".join([*parts, f"{rate:,.0f} flows/s"])
