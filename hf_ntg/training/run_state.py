"""RunState: everything that changes during training, with exact saving and restoring."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel

from hf_ntg.training.checkpoints import damaged, read_checkpoint, write_checkpoint

__all__ = ["RunState"]


@dataclass
class RunState:
    """Everything that the training loop changes.

    Attributes:
        module: the network with its loss, as ``accelerator.prepare`` returned it. optimizer: likewise.
        schedule: learning-rate schedule. average: running average of the network.
        history: one dictionary an epoch: ``epoch``, ``loss`` (mean per unit of example weight) and, where flows were
            held back, ``validation_loss``.
        best_weights: state of the averaged network at its best validation loss, once there is one.
    """

    module: nn.Module
    optimizer: Optimizer
    schedule: LRScheduler
    average: AveragedModel
    history: list[dict[str, float]] = field(default_factory=list)
    best_weights: dict[str, torch.Tensor] | None = None

    def save(self, accelerator: Accelerator, folder: Path, epoch: int) -> None:
        """Write the checkpoint after `epoch` epochs. All processes call this; the first one writes."""
        if accelerator.is_main_process:
            scaler = accelerator.scaler
            state = {
                "module": accelerator.unwrap_model(self.module).state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "schedule": {name: value for name, value in self.schedule.state_dict().items() if name in _OF_SCHEDULE},
                "average": self.average.state_dict(),
                "scaler": None if scaler is None else scaler.state_dict(),
                "history": self.history,
                "best_weights": self.best_weights,
            }
            write_checkpoint(folder, epoch, state)
        accelerator.wait_for_everyone()

    def restore(self, accelerator: Accelerator, folder: Path, epoch: int) -> None:
        """Load the checkpoint after `epoch` epochs.

        Raises:
            InputError: it is damaged, or belongs to another network.
        """
        state = read_checkpoint(folder, epoch)
        try:
            accelerator.unwrap_model(self.module).load_state_dict(state["module"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.schedule.load_state_dict({name: state["schedule"][name] for name in _OF_SCHEDULE})
            self.average.load_state_dict(state["average"])
            if accelerator.scaler is not None:
                accelerator.scaler.load_state_dict(state["scaler"])
            self.best_weights = state["best_weights"]
            self.history[:] = _checked_history(state["history"], epoch)  # the rate curve reads the same list
        except (KeyError, ValueError, TypeError, AttributeError, RuntimeError, IndexError) as error:
            raise damaged(folder / f"epoch-{epoch}.safetensors", error) from error

    def bytes_on_disk(self) -> int:
        """Approximate disk space of one checkpoint (weights, average and two moments) and the finished model."""
        return 6 * sum(parameter.numel() * parameter.element_size() for parameter in self.module.parameters())


_OF_SCHEDULE = ("base_lrs", "lr_lambdas", "last_epoch", "_step_count", "_last_lr")


def _checked_history(history: Any, epochs: int) -> list[dict[str, float]]:
    if len(history) != epochs:
        raise ValueError(f"the losses of {len(history)} epochs after {epochs}")
    for place, record in enumerate(history, start=1):
        if record["epoch"] != place or not all(math.isfinite(value) for value in record.values()):
            raise ValueError(f"no losses of epoch {place}")
    return history
