"""The interface between the training loop and a family of models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
from torch import Tensor, nn

__all__ = ["Objective"]


class Objective(ABC):
    """A model, its training examples and its loss.

    Attributes:
        module: the network wrapped with its loss. Called with a collated batch, it returns the *sum* of the weighted
            losses of its examples. The loop divides it by the examples of the whole step, over all processes.
        num_examples: number of training examples.
        mean_weight: mean total weight of an example's losses. The loop divides a step's sum by this times the number
            of its examples, not by the weight of the examples in the step, so that short examples count like long ones.
        unit: unit of the validation loss, for display.
    """

    module: nn.Module
    num_examples: int
    mean_weight: float
    unit: str

    @abstractmethod
    def collate(self, rows: np.ndarray, rng: np.random.Generator) -> dict[str, Tensor]:
        """Examples `rows` as keyword arguments of the module; `rng` is the same on every process."""

    @abstractmethod
    def validation_loss(self, module: nn.Module) -> float:
        """Loss of `module` (the raw or the averaged network) on the validation flows, in `unit`."""

    def memory(self, module: nn.Module) -> tuple[float, float] | None:
        """Shares of the model's flows, and expected of new real flows, that repeat a once-seen training flow.

        None if the family cannot compute it.
        """
        return None

    @abstractmethod
    def save(self, module: nn.Module, folder: Path) -> None:
        """Write `module`'s network and its codec to `folder`, ready for ``from_pretrained``."""
