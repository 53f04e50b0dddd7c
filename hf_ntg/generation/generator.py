"""FlowGenerator: makes labelled flows with any fitted model, neural or baseline."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from datasets import Dataset, concatenate_datasets

from hf_ntg.constants import RUN_FILE
from hf_ntg.errors import InputError
from hf_ntg.files import scratch_folder
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.class_mix import class_counts
from hf_ntg.flows.provenance import Provenance, mark_flows
from hf_ntg.generation.loading import load_sampler
from hf_ntg.generation.parallel import block_count, draw_blocks
from hf_ntg.generation.sampler import LikelihoodSampler, Sampler, check_options
from hf_ntg.json_files import read_object_or_empty
from hf_ntg.model_files import model_folder
from hf_ntg.models.baselines import BASELINE_FILE
from hf_ntg.output_places import check_output_folder
from hf_ntg.privacy.guarantee import guarantee_in_words, read_guarantee
from hf_ntg.progress import Progress
from hf_ntg.ranges import PROCESSES, SEEDS

if TYPE_CHECKING:
    import torch

__all__ = ["FlowGenerator"]

# Files of a model folder that describe the model; its sampler saves the others.
_DESCRIPTIONS = (
    RUN_FILE,
    "training_config.json",
    "training_data.json",
    "evaluation.json",
    "README.md",
    "packets.png",
)
_SHOWN_CLASSES = 6


class FlowGenerator:
    """Makes new labelled flows with a fitted model.

    Flows are drawn in blocks of a fixed size, each with its own random numbers. The same seed therefore gives the same
    flows on one machine, whatever the number of processes. A long stream needs the memory of a few blocks.

    Attributes:
        sampler: the model that draws: :class:`~hf_ntg.generation.causal.CausalSampler`,
            :class:`~hf_ntg.generation.diffusion.DiffusionSampler` or a fitted baseline.
        source: folder that the model was loaded from; None for a model that was not saved.
    """

    def __init__(self, sampler: Sampler, source: Path | None = None) -> None:
        self.sampler, self.source = sampler, source

    @classmethod
    def in_folder(cls, folder: Path) -> Self:
        """The generator of the model in `folder`, which is loaded when it is first used."""
        generator = cls.__new__(cls)
        generator.source = folder
        return generator

    @cached_property
    def sampler(self) -> Sampler:
        """The model that draws."""
        assert self.source is not None  # a generator without a folder is made with its sampler
        return load_sampler(self.source)

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
            source: a folder written by training or by a baseline, the id of a model on the Hub (``"org/name"``), or
                ``"loopback"``, a model of the bundled flows that the package brings.
            revision: branch, tag or commit on the Hub. token: for private and gated models.
            device: where to draw. A CPU is enough for the causal models; a GPU draws other flows from the same seed.

        Raises:
            InputError: there is no such model or device, or the model cannot be fetched or read.
        """
        folder = model_folder(source, revision=revision, token=token)
        return cls(load_sampler(folder, device), folder)

    def save_pretrained(self, save_directory: str | Path) -> Path:
        """Save the model to a folder that :meth:`from_pretrained` loads, with the record of its training.

        Files of a model that is already in the folder are replaced.

        Returns:
            The folder.

        Raises:
            InputError: nothing can be written there.
        """
        folder = Path(save_directory)
        check_output_folder(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with scratch_folder(folder / "model") as scratch:
            self.sampler.save_pretrained(scratch)
            if self.source is not None:
                for name in _DESCRIPTIONS:
                    if (self.source / name).is_file():
                        shutil.copyfile(self.source / name, scratch / name)
            for path in sorted(path for path in scratch.rglob("*") if path.is_file()):
                target = folder / path.relative_to(scratch)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.replace(target)
        return folder

    def to(self, device: str | torch.device) -> Self:
        """Move the model to `device`, such as ``"cuda"``; returns this generator. Baselines always use the CPU.

        Raises:
            InputError: there is no such device.
        """
        if self.source is not None:
            self.sampler = load_sampler(self.source, device)
        return self

    @property
    def training_run(self) -> dict[str, Any]:
        """The record of the training: ``flows``, ``classes``, ``epochs``, ``steps``, ``history`` (losses) and more.

        A private training records no number that its flows decide. Empty for a model without a record.
        """
        return {} if self.source is None else read_object_or_empty(self.source / RUN_FILE)

    def __repr__(self) -> str:
        shown = [str(label) for label in self.labels[:_SHOWN_CLASSES]]
        more = ["…"] if len(self.labels) > _SHOWN_CLASSES else []
        lines = [
            f"model: {self.sampler.name}" + ("" if self.source is None else f" from {str(self.source)!r}"),
            f"classes: {len(self.labels)} ({', '.join(shown + more)})",
            f"packets: up to {self.max_packets} of a flow, view {self.view!r}",
            f"options: {', '.join(self.sampler.options) or 'none'}",
        ]
        if run := self.training_run:
            made = f", hf_ntg {run['environment']['hf_ntg']}" if "environment" in run else ""
            length = f"{run['flows']:,} flows, {run['epochs']} epochs, " if "flows" in run else ""
            lines.append(f"training: {length}{run['steps']:,} steps{made}")
        if self.privacy is not None:
            lines.append(f"privacy: {guarantee_in_words(self.privacy)}")
        return "\n    ".join([f"{type(self).__name__}({{", *lines]) + "\n})"

    @property
    def labels(self) -> list[str | None]:
        """Names of the K classes; None names the class of unlabelled training flows."""
        return self.sampler.labels

    @property
    def label_weights(self) -> np.ndarray:
        """(K,) shares of the classes among the training flows."""
        return self.sampler.label_weights

    @property
    def view(self) -> str:
        """Packet view of the flows that it makes, see :func:`hf_ntg.flows.view.in_view`."""
        return self.sampler.view

    @property
    def max_packets(self) -> int:
        """Most packets of a flow that it makes."""
        return self.sampler.max_packets

    @property
    def block_size(self) -> int:
        """Number of flows in a block."""
        return self.sampler.block_size

    @property
    def device(self) -> torch.device:
        """The device that flows are drawn on."""
        return self.sampler.device

    @cached_property
    def privacy(self) -> dict[str, Any] | None:
        """The guarantee of differential privacy that the model has: epsilon, delta, unit and more; or None."""
        if self.source is None or (self.source / BASELINE_FILE).is_file():
            return getattr(self.sampler, "privacy", None)
        return read_guarantee(self.source)

    @cached_property
    def model_identity(self) -> Provenance:
        """The provenance of this model's flows, with seed 0."""
        mark = Provenance(self.sampler.name, "", 0) if self.source is None else Provenance.of_model(self.source, 0)
        return replace(mark, view=self.view, max_packets=self.max_packets)

    def generate(
        self,
        num_flows: int | None = None,
        label: str | Mapping[str, int] | None = None,
        seed: int = 0,
        *,
        num_proc: int = 1,
        **options: Any,
    ) -> Dataset:
        """Make exactly as many flows as requested, class after class, in the flow schema.

        The flows carry a mark of their :class:`~hf_ntg.flows.provenance.Provenance`.

        Args:
            num_flows: total number; may be left out if `label` holds counts.
            label: None mixes the classes as the training flows did. A name gives every flow that label. A mapping holds
                the count of each.
            seed: the same seed gives the same flows.
            num_proc: processes to draw with.
            **options: of the model's ``draw``: ``temperature`` for causal models, ``scheduler`` and
                ``num_inference_steps`` for diffusion.

        Raises:
            InputError: the model does not know a label, the counts do not add up to `num_flows`, or the model has no
                such option.
        """
        parts = []
        counts = class_counts(num_flows, label, self.labels, self.label_weights)
        quiet = counts.sum() <= self.block_size  # one block, which is done as soon as a bar would be there
        with Progress("generating", int(counts.sum()), quiet=quiet) as bar:
            for part in self.stream(num_flows, label, seed, num_proc=num_proc, **options):
                parts.append(part)
                bar.update(len(part))
        return parts[0] if len(parts) == 1 else concatenate_datasets(parts)

    def stream(
        self,
        num_flows: int | None = None,
        label: str | Mapping[str, int] | None = None,
        seed: int = 0,
        *,
        num_proc: int = 1,
        **options: Any,
    ) -> Iterator[Dataset]:
        """Make the flows of :meth:`generate` block by block, without holding all of them."""
        counts = class_counts(num_flows, label, self.labels, self.label_weights)
        SEEDS.check("seed", seed)
        PROCESSES.check("num_proc", num_proc)
        return self.stream_blocks(counts, seed, range(block_count(counts, self.block_size)), num_proc, options)

    def stream_blocks(
        self, counts: np.ndarray, seed: int, blocks: range, num_proc: int = 1, options: Mapping = MappingProxyType({})
    ) -> Iterator[Dataset]:
        """Make some `blocks` of a request for ``counts[k]`` flows of class k.

        The flow at place i of the whole request has the id ``synthetic-i``.
        """
        check_options(self.sampler, options)
        mark = replace(self.model_identity, seed=seed)
        drawn = draw_blocks(self.sampler, self.source, counts, seed, blocks, num_proc, dict(options))
        for number, block in zip(blocks, drawn, strict=True):
            first = number * self.block_size
            names = np.array([f"synthetic-{place}" for place in range(first, first + len(block))], dtype=object)
            yield mark_flows(replace(block, flow_id=names).to_dataset(), mark)

    def log_likelihood(self, flows: Dataset | FlowArrays) -> np.ndarray:
        """Natural logarithm of the probability of each of N flows given its label: (N,) nats.

        Raises:
            InputError: the model has no likelihood (diffusion models and some baselines), or does not know a class.
        """
        if not isinstance(self.sampler, LikelihoodSampler):
            raise InputError("this model gives flows no likelihood; use a causal model or an n-gram")
        return self.sampler.log_likelihood(flows)

    @property
    def has_likelihood(self) -> bool:
        """Whether the model has :meth:`log_likelihood`."""
        return isinstance(self.sampler, LikelihoodSampler)
