"""Protocol and ports of generated flows, sampled from training flows with the same first packet."""

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
        columns: (R,) protocol, source port and destination port; columns that the training flows lack are left out.
        donors: the training flows, keyed by class and first packet, then by class.
    """

    columns: dict[str, np.ndarray]
    donors: DonorTable

    @classmethod
    def fit(cls, flows: FlowArrays, classes: np.ndarray) -> HeaderTable:
        """Keep the protocol and ports of `flows`, whose classes are `classes` (R,)."""
        columns = {name: getattr(flows, name) for name in _COLUMNS if getattr(flows, name) is not None}
        return cls(columns, DonorTable.fit(_keys(flows, classes)))

    def give(self, flows: FlowArrays, classes: np.ndarray, rng: np.random.Generator) -> FlowArrays:
        """Give each flow the protocol and ports of a random training flow of its class with the same first packet.

        If there is none, any training flow of the class is used.
        """
        donors = self.donors.draw(_keys(flows, classes), rng)
        return replace(flows, **{name: values[donors] for name, values in self.columns.items()})

    def tensors(self) -> dict[str, np.ndarray]:
        """The table as arrays; :meth:`restore` reads them."""
        held = {f"headers.{name}": values for name, values in self.columns.items()}
        return held | self.donors.tensors("header_donors")

    @classmethod
    def restore(cls, tensors: dict[str, np.ndarray]) -> HeaderTable:
        """The inverse of :meth:`tensors`. Other entries of `tensors` are ignored."""
        columns = {name: tensors[f"headers.{name}"] for name in _COLUMNS if f"headers.{name}" in tensors}
        return cls(columns, DonorTable.restore(tensors, "header_donors"))


def _keys(flows: FlowArrays, classes: np.ndarray) -> list[np.ndarray]:
    return [classes * _SYMBOLS + flows.packet_symbol[flows.offsets[:-1]], classes]
