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
            losses of its examples, so that the loop can divide by the whole step's examples, whatever the processes.
        num_examples: that there are.
        mean_weight: mean over all examples of the weight of an example's losses. A step's sum is divided by this times
            its examples, not by the weight of those that it happens to hold: small examples count like large ones.
        unit: what one unit of the validation loss is, for people.
    """

    module: nn.Module
    num_examples: int
    mean_weight: float
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
