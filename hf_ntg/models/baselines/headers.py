"""Header facts of drawn flows, taken from training flows that open alike."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.schema import MAX_PAYLOAD
from hf_ntg.models.baselines.donors import DonorTable

__all__ = ["HeaderTable"]

_COLUMNS = ("protocol", "source_port", "destination_port")
_SYMBOLS = 2 * (MAX_PAYLOAD + 1)


@dataclass(frozen=True)
class HeaderTable:
    """Protocol and ports of R training flows.

    Attributes:
        columns: those of the three that the training flows have, each (R,). donors: the flows, by class and first
            packet, then by class.
    """

    columns: dict[str, np.ndarray]
    donors: DonorTable

    @classmethod
    def fit(cls, flows: FlowArrays, classes: np.ndarray) -> HeaderTable:
        """Hold the header facts of `flows`, which belong to `classes` (R,)."""
        columns = {name: getattr(flows, name) for name in _COLUMNS if getattr(flows, name) is not None}
        return cls(columns, DonorTable.fit(_keys(flows, classes)))

    def give(self, flows: FlowArrays, classes: np.ndarray, rng: np.random.Generator) -> FlowArrays:
        """`flows` with the header facts of a training flow of the class that opens with the same packet.

        Where none does, any training flow of the class gives them.
        """
        donors = self.donors.draw(_keys(flows, classes), rng)
        return replace(flows, **{name: values[donors] for name, values in self.columns.items()})

    def tensors(self) -> dict[str, np.ndarray]:
        """What :meth:`restore` makes the table from."""
        held = {f"headers.{name}": values for name, values in self.columns.items()}
        return held | self.donors.tensors("header_donors")

    @classmethod
    def restore(cls, tensors: dict[str, np.ndarray]) -> HeaderTable:
        """The inverse of :meth:`tensors`; other entries are passed over."""
        columns = {name: tensors[f"headers.{name}"] for name in _COLUMNS if f"headers.{name}" in tensors}
        return cls(columns, DonorTable.restore(tensors, "header_donors"))


def _keys(flows: FlowArrays, classes: np.ndarray) -> list[np.ndarray]:
    return [classes * _SYMBOLS + flows.packet_symbol[flows.offsets[:-1]], classes]
