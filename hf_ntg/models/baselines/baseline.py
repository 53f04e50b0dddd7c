"""Baseline: the base class of generators that count or copy, with fit, draw, save and restore."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from datasets import Dataset
from safetensors.numpy import save_file

from hf_ntg.errors import InputError
from hf_ntg.files import replacing
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.view import flows_in_view, longest_seen

if TYPE_CHECKING:
    import torch

__all__ = ["BASELINE_FILE", "Baseline"]

BASELINE_FILE = "baseline.safetensors"  # in a model folder


class Baseline:
    """A simple generator of labelled flows, to compare learned generators with.

    A fitted baseline is a :class:`~hf_ntg.generation.sampler.Sampler`: ``FlowGenerator(baseline).generate(...)``.

    Attributes:
        labels: sorted names of the K classes.
        label_weights: (K,) share of each class among the training flows.
        max_packets: flows are learned and drawn up to this many packets.
        view: packet view that flows are learned and drawn in, see :func:`hf_ntg.flows.view.in_view`.
    """

    kind: ClassVar[str]
    block_size = 1 << 20
    options: tuple[str, ...] = ()

    labels: list[str | None]
    label_weights: np.ndarray
    max_packets: int
    view: str

    def fit(self, flows: Dataset | FlowArrays, max_packets: int = 10, view: str | None = None) -> Self:
        """Learn from the labelled ones of `flows`, cut to `max_packets` packets.

        Args:
            max_packets: lowered if all flows are cut or end before, see :func:`hf_ntg.flows.view.longest_seen`.
            view: packet view to learn in; None: the one that `flows` are marked with, else ``all``.

        Raises:
            InputError: no flow has a label, or none is left in the packet view.
        """
        arrays, _ = flows_in_view(flows, view)
        labelled = np.array([label is not None for label in arrays.label], dtype=bool)
        if not labelled.any():
            raise InputError("the training flows have no labels; fill the column 'label'")
        arrays = arrays.take(labelled)
        max_packets = longest_seen(arrays, max_packets)
        arrays = arrays.head(max_packets)
        names, classes = np.unique(arrays.label.astype(str), return_inverse=True)
        self.labels = names.tolist()
        self.label_weights = np.bincount(classes) / len(classes)
        self.max_packets, self.view = max_packets, arrays.view or "all"
        self._fit(arrays, classes)
        return self

    @property
    def name(self) -> str:
        """Its name in tables, such as ``4-gram``."""
        return self.kind

    @property
    def device(self) -> torch.device:
        """The CPU."""
        import torch

        return torch.device("cpu")

    def draw(self, classes: np.ndarray, seed: int, first: int = 0) -> FlowArrays:
        """Draw one flow for each of `classes` (N,), which are indices into ``labels``.

        Args:
            seed, first: name the stream of random numbers; `first` is the number of the first flow in the request.
        """
        made = self._generate(classes, np.random.default_rng([seed, first] if first else seed))
        return replace(made, view=self.view)

    def save_pretrained(self, folder: Path) -> None:
        """Write the fitted baseline as the file of a model folder."""
        self.save(folder / BASELINE_FILE)

    def save(self, path: str | Path) -> Path:
        """Write the fitted baseline to one safetensors file at `path`."""
        head = {"kind": self.kind, "max_packets": self.max_packets, "labels": self.labels, "view": self.view}
        tensors = {"label_weights": self.label_weights, **self._tensors()}
        with replacing(path) as scratch:
            save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, scratch, {"hf_ntg": json.dumps(head)})
        return Path(path)

    @classmethod
    def restore(cls, max_packets: int, labels: list[str], view: str, tensors: dict[str, np.ndarray]) -> Self:
        """The fitted baseline that :meth:`save` wrote as `tensors`."""
        loaded = cls()
        loaded.view = view
        loaded.labels, loaded.max_packets = list(labels), max_packets
        loaded.label_weights = tensors.pop("label_weights")
        loaded._restore(tensors)
        return loaded

    def _fit(self, flows: FlowArrays, classes: np.ndarray) -> None:
        raise NotImplementedError

    def _generate(self, classes: np.ndarray, rng: np.random.Generator) -> FlowArrays:
        raise NotImplementedError

    def _tensors(self) -> dict[str, np.ndarray]:
        raise NotImplementedError

    def _restore(self, tensors: dict[str, np.ndarray]) -> None:
        raise NotImplementedError
