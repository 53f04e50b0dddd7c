"""Sampler: the interface that FlowGenerator needs from a model, neural or baseline."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.models.scheduler_names import SCHEDULER_NAMES
from hf_ntg.ranges import DRAWING

if TYPE_CHECKING:
    import torch
    from datasets import Dataset

__all__ = ["LikelihoodSampler", "Sampler", "check_options"]


class Sampler(Protocol):
    """A fitted model that draws flows of given classes, a block at a time.

    Implemented by :class:`~hf_ntg.generation.causal.CausalSampler`,
    :class:`~hf_ntg.generation.diffusion.DiffusionSampler` and every
    :class:`~hf_ntg.models.baselines.baseline.Baseline`.

    Attributes:
        labels: names of the K classes; None names the class of unlabelled flows.
        label_weights: (K,) shares of the classes among the training flows; they sum to 1.
        block_size: flows that one call of :meth:`draw` makes at most.
        options: names of the keyword arguments that :meth:`draw` takes.
        view: packet view of the flows it makes. max_packets: largest number of packets of a flow.
        name: of the family, such as ``gpt2`` or ``4-gram``.
    """

    labels: list[str | None]
    label_weights: np.ndarray
    block_size: int
    options: tuple[str, ...]
    view: str
    max_packets: int

    @property
    def name(self) -> str:
        """Name of the family."""
        ...

    @property
    def device(self) -> torch.device:
        """The device that flows are drawn on."""
        ...

    def save_pretrained(self, folder: Path) -> None:
        """Write the model's files into the existing `folder`."""
        ...

    def draw(self, classes: np.ndarray, seed: int, first: int, *_: Any, **options: Any) -> FlowArrays:
        """Draw one flow for each of `classes`.

        Args:
            classes: (N,) places in `labels`, at most `block_size` of them.
            seed: names the streams of random numbers.
            first: number of the first flow in the whole request, a multiple of `block_size`. Flow i of the request is
                the same whatever is drawn with it.
        """
        ...


@runtime_checkable
class LikelihoodSampler(Protocol):
    """A sampler that also knows how likely a given flow is."""

    def log_likelihood(self, flows: Dataset | FlowArrays) -> np.ndarray:
        """Natural logarithm of the probability of each of N flows given its label: (N,) nats."""
        ...


def check_options(sampler: Sampler, options: Mapping[str, Any]) -> None:
    """Check the options of a request before anything is drawn or written.

    Raises:
        InputError: the model takes no such option, or a number is out of its range.
    """
    for name, value in options.items():
        if name not in sampler.options:
            known = ", ".join(sampler.options) or "none"
            raise InputError(f"{name}: this kind of model has no such option; it takes {known}")
        if name in DRAWING:
            DRAWING[name].check(name, value)
        if name == "times" and not isinstance(value, bool):
            raise InputError(f"times {value!r}: give True or False")
        if name == "scheduler" and value not in SCHEDULER_NAMES:
            raise InputError(f"scheduler {value!r}: choose one of {', '.join(SCHEDULER_NAMES)}")
