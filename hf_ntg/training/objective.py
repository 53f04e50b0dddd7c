"""What the training loop asks of a family of models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
from torch import Tensor, nn

__all__ = ["Objective"]


class Objective(ABC):
    """A model, its training examples and its loss.

    Attributes:
        module: the network in training clothes; called with a collated batch it returns the *sum* of the weighted
            losses of its examples, so that the loop can divide by the whole step's weight, whatever the processes.
        weights: (N,) float64 weight of each example's loss; a step's loss is the sum over its examples of the module's
            sums, divided by the sum of their weights.
        lengths: (N,) size of each example; examples of like size are put in one batch.
        unit: what one unit of the validation loss is, for people.
    """

    module: nn.Module
    weights: np.ndarray
    lengths: np.ndarray
    unit: str

    @abstractmethod
    def collate(self, rows: np.ndarray, rng: np.random.Generator) -> dict[str, Tensor]:
        """Examples `rows` as keyword arguments of the module; `rng` is the step's own, the same on every process."""

    @abstractmethod
    def validation_loss(self, module: nn.Module) -> float:
        """Loss of `module` (the raw or the averaged network) on the validation flows, in `unit`."""

    @abstractmethod
    def save(self, module: nn.Module, folder: Path) -> None:
        """Write `module`'s network and its codec to `folder`, as users load it."""
