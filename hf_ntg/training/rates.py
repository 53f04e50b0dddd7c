"""Schedules: the learning rate over the steps, and the decay of the averaged weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch

from hf_ntg.training.config import TrainingConfig

__all__ = ["moving_average", "rate_curve"]


def rate_curve(
    config: TrainingConfig, total: int, steps: int = 1, history: Sequence[dict[str, float]] = ()
) -> Callable[[int], float]:
    """Share of the peak rate at a step: a linear rise, then a cosine down to ``final_rate``.

    A model that stops while its rate is high has not converged. Where the memory limit ends training, nobody knows
    when. So the cosine follows the larger of two shares: of the steps taken, and of the allowed memory used. Memory is
    measured after each epoch. Within an epoch it is assumed to grow as in the last one.

    The schedules of this shape in transformers start at a rate of 0, or leave out the step at the peak rate.

    Args:
        total: largest number of steps. steps: steps of an epoch.
        history: records of the finished epochs, which grow during training; ``memory_used`` is their share of memory.
    """
    rise = max(1, round(config.warmup * total))

    def share(step: int) -> float:
        used = [0.0, *(record.get("memory_used", 0.0) for record in history)]
        growth = max(0.0, used[-1] - used[-2]) if len(used) > 1 else 0.0
        memory = used[-1] + growth * (step / steps - len(history))
        done = min(1.0, max((step - rise) / max(1, total - rise), memory, 0.0))
        curve = config.final_rate + (1 - config.final_rate) * 0.5 * (1 + math.cos(math.pi * done))
        return curve * min(1.0, (step + 1) / rise)

    return share


_Weights = tuple[torch.Tensor, ...] | list[torch.Tensor]


def moving_average(decay: float) -> Callable[[_Weights, _Weights, torch.Tensor | int], None]:
    """Exponential moving average whose decay rises to `decay`, so that the first weights are soon forgotten."""

    @torch.no_grad()
    def update(averaged: _Weights, current: _Weights, steps: torch.Tensor | int) -> None:
        now = min(decay, (1 + int(steps)) / (10 + int(steps))) if decay else 0.0
        torch._foreach_lerp_(averaged, current, 1 - now)

    return update
