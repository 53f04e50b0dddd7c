"""Detection of divergence: training stops at the step where the loss or the gradient is no longer finite."""

from __future__ import annotations

import math

import torch
from accelerate import Accelerator
from torch.optim.swa_utils import AveragedModel

from hf_ntg.training.config import TrainingConfig
from hf_ntg.training.run_state import RunState

__all__ = ["DivergedError", "refuse_divergence", "refuse_non_finite"]


class DivergedError(ArithmeticError):
    """The loss or the weights are no longer finite."""


def _diverged(where: str, config: TrainingConfig) -> DivergedError:
    tries = [f"a lower learning_rate than {config.learning_rate:g}", f"a max_grad_norm below {config.max_grad_norm:g}"]
    if config.mixed_precision != "no":
        tries.append(f"mixed_precision 'no' in place of '{config.mixed_precision}'")
    return DivergedError(
        f"training stopped {where}; try {', or '.join(tries)}. {config.output_dir} is as it was before"
    )


def refuse_non_finite(average: AveragedModel, config: TrainingConfig, epochs: int) -> None:
    """Check the weights that are about to be saved.

    Raises:
        DivergedError: one is not finite.
    """
    for name, weight in average.module.named_parameters():
        if not torch.isfinite(weight).all():
            raise _diverged(f"after epoch {epochs}: {name} is not finite", config)


def refuse_divergence(
    accelerator: Accelerator,
    loss: torch.Tensor,
    norm: torch.Tensor,
    state: RunState,
    config: TrainingConfig,
    epoch: int,
) -> None:
    """Check a step's loss and gradient norm; all processes come to the same result.

    Raises:
        DivergedError: one is not finite.
    """
    if accelerator.scaler is not None:  # fp16: gradients often overflow, and such a step is skipped
        watched = accelerator.reduce(loss, "sum")
    else:
        watched = norm if accelerator.num_processes > 1 else loss + norm
    if not math.isfinite(watched.item()):
        what = "loss" if not math.isfinite(loss.item()) else "gradient"
        rate = state.schedule.get_last_lr()[0]
        step = state.schedule.last_epoch + 1
        raise _diverged(f"at step {step} (epoch {epoch + 1}): the {what} is not finite at a rate of {rate:.2g}", config)
