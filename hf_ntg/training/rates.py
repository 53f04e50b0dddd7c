"""Schedules: the learning rate over the steps, and the decay of the averaged weights."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from hf_ntg.training.config import TrainingConfig

__all__ = ["moving_average", "rate_curve"]


def rate_curve(config: TrainingConfig, total: int) -> Callable[[int], float]:
    """Share of the peak rate at a step: a linear rise, then a cosine down to ``final_rate``.

    The schedules of this shape in transformers start at a rate of 0, or leave out the step at the peak rate.
    """
    rise = max(1, round(config.warmup * total))

    def share(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        fall = (step - rise) / max(1, total - rise)
        return config.final_rate + (1 - config.final_rate) * 0.5 * (1 + math.cos(math.pi * fall))

    return share


_Weights = tuple[torch.Tensor, ...] | list[torch.Tensor]


def moving_average(decay: float) -> Callable[[_Weights, _Weights, torch.Tensor | int], None]:
    """Exponential moving average whose decay rises to `decay`, so that the first weights are soon forgotten."""

    @torch.no_grad()
    def update(averaged: _Weights, current: _Weights, steps: torch.Tensor | int) -> None:
        now = min(decay, (1 + int(steps)) / (10 + int(steps))) if decay else 0.0
        torch._foreach_lerp_(averaged, current, 1 - now)

    return update
