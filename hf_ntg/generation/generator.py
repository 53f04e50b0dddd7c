"""FlowGenerator: one face for every family of models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Self

import numpy as np
from datasets import Dataset, concatenate_datasets

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.class_mix import class_counts
from hf_ntg.generation.parallel import block_count, draw_blocks

if TYPE_CHECKING:
    import torch

__all__ = ["FlowGenerator"]


class FlowGenerator(ABC):
    """A trained model that makes new labelled flows.

    Flows are drawn in blocks of a fixed number, each with random numbers of its own: the same seed gives the same flows
    on one machine, whatever the number of processes, and a stream of any length needs the memory of a few blocks.

    Attributes:
        source: folder the model was loaded from. device: where it draws. options: what its ``draw`` can be
            told.
        labels: (K,) names of its classes. label_weights: (K,) their shares among the training flows.
    """

    block_size = 32_768
    options: tuple[str, ...] = ()

    def __init__(self, source: Path, labels: list[str | None], label_weights: np.ndarray) -> None:
        self.source, self.labels = source, labels
        self.label_weights = label_weights / label_weights.sum()

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        revision: str | None = None,
        token: str | None = None,
        device: str | torch.device = "cpu",
    ) -> Self:
        """Load a model from a folder or from the Hub.

        Args:
            source: a folder that training left, or the id of a model on the Hub (``"org/name"``).
            revision: branch, tag or commit on the Hub. token: for private and gated models.
            device: where to draw. A CPU is enough for the causal models; a GPU draws other flows from the same seed.

        Raises:
            InputError: there is no such model or device, it cannot be fetched or read, or it is none of ours.
        """
        from hf_ntg.generation.loading import load_generator

        return load_generator(source, revision=revision, token=token, device=device)

    def generate(
        self,
        num_flows: int | None = None,
        label: str | Mapping[str, int] | None = None,
        seed: int = 0,
        *,
        num_proc: int = 1,
        **options,
    ) -> Dataset:
        """Make flows: exactly as many as asked, class after class, in the project's schema.

        Args:
            num_flows: how many in all; may be left out where `label` holds counts.
            label: None mixes the classes as the training flows did; a name gives every flow that label; a mapping holds
                the count of each.
            seed: the same seed gives the same flows.
            num_proc: processes to draw with.
            **options: of the family, see its ``draw``: ``temperature`` of the causal models, ``scheduler`` and
                ``num_inference_steps`` of diffusion.

        Raises:
            InputError: a label was not trained on, the counts do not add up to `num_flows`, or the family has no such
                option.
        """
        parts = list(self.stream(num_flows, label, seed, num_proc=num_proc, **options))
        return parts[0] if len(parts) == 1 else concatenate_datasets(parts)

    def stream(
        self,
        num_flows: int | None = None,
        label: str | Mapping[str, int] | None = None,
        seed: int = 0,
        *,
        num_proc: int = 1,
        **options,
    ) -> Iterator[Dataset]:
        """The same flows as :meth:`generate`, block after block."""
        counts = class_counts(num_flows, label, self.labels, self.label_weights)
        if num_proc < 1:
            raise InputError(f"num_proc {num_proc}: give at least 1")
        return self.stream_blocks(counts, seed, range(block_count(counts, self.block_size)), num_proc, options)

    def stream_blocks(
        self, counts: np.ndarray, seed: int, blocks: range, num_proc: int = 1, options: Mapping = MappingProxyType({})
    ) -> Iterator[Dataset]:
        """Some of the `blocks` of a request for ``counts[k]`` flows of class k; a flow is named by its place in it."""
        for name in options:
            if name not in self.options:
                raise InputError(f"{name}: this model's family has no such option; it takes {', '.join(self.options)}")
        for number, block in zip(blocks, draw_blocks(self, counts, seed, blocks, num_proc, dict(options)), strict=True):
            first = number * self.block_size
            names = np.array([f"synthetic-{place}" for place in range(first, first + len(block))], dtype=object)
            yield replace(block, flow_id=names).to_dataset()

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        revision: str | None = None,
        token: str | None = None,
        license: str = "apache-2.0",
        report: str | Path | None = None,
    ) -> str:
        """Publish the model with a card made from its run; see :func:`hf_ntg.hub.publish_model`.

        Args:
            repo_id: ``ORGANISATION/NAME``. private: whether a new repository is. revision: branch to commit to.
            token: of the account, where not logged in. license: of the weights. report: ``report.json`` of ``ntg
                evaluate``, for the card's figures.

        Returns:
            The repository's address.

        Raises:
            InputError: the folder holds what must not be published, or the Hub refuses.
        """
        from hf_ntg.hub import Destination, publish_model  # above this layer: imported when it is asked for

        to = Destination(repo_id, private=private, revision=revision, token=token)
        return publish_model(self.source, to, license=license, report=report).url

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where it draws."""

    @abstractmethod
    def draw(self, classes: np.ndarray, seed: int, block: int, **options) -> FlowArrays:
        """Make one flow for each of `classes` (N,), places in `labels`; `block` numbers the random stream."""
