"""The face that every baseline shares with the learned generators: fit, generate, save, load."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from datasets import Dataset
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from hf_ntg.errors import InputError
from hf_ntg.files import replacing
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.class_mix import class_counts

__all__ = ["BaselineGenerator"]

Label = str | Mapping[str, int] | None


class BaselineGenerator:
    """A generator of labelled flows that stands beside the learned ones, to be beaten.

    Attributes:
        labels: names of the classes, sorted. label_weights: (K,) share of each class among the training flows.
        max_packets: flows are learned and drawn up to this many packets.
    """

    kind: ClassVar[str]

    labels: list[str]
    label_weights: np.ndarray
    max_packets: int

    def fit(self, flows: Dataset | FlowArrays, max_packets: int = 10) -> Self:
        """Learn from the labelled ones of `flows`, cut to `max_packets` packets.

        Raises:
            InputError: no flow has a label.
        """
        arrays = flows if isinstance(flows, FlowArrays) else FlowArrays.from_dataset(flows)
        labelled = np.array([label is not None for label in arrays.label], dtype=bool)
        if not labelled.any():
            raise InputError("the training flows have no labels; fill the column 'label'")
        arrays = arrays.take(labelled).head(max_packets)
        names, classes = np.unique(arrays.label.astype(str), return_inverse=True)
        self.labels = names.tolist()
        self.label_weights = np.bincount(classes) / len(classes)
        self.max_packets = max_packets
        self._fit(arrays, classes)
        return self

    def generate(self, num_flows: int | None = None, label: Label = None, seed: int = 0) -> Dataset:
        """Draw flows in the schema: exactly as many as asked, one class after another.

        Args:
            num_flows: how many in all; may be left out where `label` holds counts.
            label: None mixes the classes as the training flows did; a name gives all flows that label; a mapping holds
                the count of each.
            seed: the same seed gives the same flows.

        Raises:
            InputError: a label was not trained on, or the counts do not add up to `num_flows`.
        """
        rng = np.random.default_rng(seed)
        counts = class_counts(num_flows, label, self.labels, self.label_weights)
        classes = np.repeat(np.arange(len(self.labels)), counts)
        return self._generate(classes, rng).to_dataset()

    def save(self, path: str | Path) -> Path:
        """Write the fitted baseline to one safetensors file at `path`."""
        head = {"kind": self.kind, "max_packets": self.max_packets, "labels": self.labels}
        tensors = {"label_weights": self.label_weights, **self._tensors()}
        with replacing(path) as scratch:
            save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, scratch, {"hf_ntg": json.dumps(head)})
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a baseline that :meth:`save` wrote.

        Raises:
            InputError: the file is missing, broken, or holds something else.
        """
        try:
            with safe_open(path, "numpy") as file:
                head = json.loads((file.metadata() or {}).get("hf_ntg", "{}"))
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        except (OSError, SafetensorError) as error:
            raise InputError(f"{path}: not a readable safetensors file ({error})") from error
        if head.get("kind") != cls.kind:
            raise InputError(f"{path}: holds {head.get('kind', 'no baseline')!r}, not {cls.kind!r}")
        loaded = cls()
        loaded.labels, loaded.max_packets = head["labels"], head["max_packets"]
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
