"""Units of privacy, and histograms over them with noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hf_ntg.constants import PRIVACY_UNITS
from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.view import in_view
from hf_ntg.privacy.noise import SecretNoise

__all__ = ["UnitFlows", "noised_histogram"]


@dataclass(frozen=True)
class UnitFlows:
    """The flows of a table in a packet view, and the unit that each belongs to.

    Attributes:
        flows: N flows. unit: (N,) number of the unit of each, below `count`.
        count: number of units in the table, public. Units without a packet in the view count as well.
        kind: ``flow`` or ``capture``.
    """

    flows: FlowArrays
    unit: np.ndarray
    count: int
    kind: str

    @classmethod
    def of(cls, table: FlowArrays, kind: str, view: str) -> UnitFlows:
        """Put `table` into the packet `view`, and number its units.

        Raises:
            InputError: the units are captures, and a flow has none; or no flow is left in the view.
        """
        if kind not in PRIVACY_UNITS:
            raise InputError(f"privacy unit {kind!r}: choose one of {', '.join(PRIVACY_UNITS)}")
        if kind == "flow":
            unit, count = np.arange(len(table)), len(table)
        elif table.capture is None or any(name is None for name in table.capture):
            raise InputError("privacy unit 'capture': not every flow has a capture; fill the column or choose 'flow'")
        else:
            names, unit = np.unique(table.capture.astype(str), return_inverse=True)
            count = len(names)
        seen, dropped = in_view(table, view)
        if not len(seen):
            raise InputError("none of the flows carries payload; use the packet view 'all'")
        if dropped:
            unit = unit[np.bincount(table.flow_index, table.payload_length > 0, len(table)) > 0]
        return cls(seen, unit.ravel(), count, kind)

    @property
    def weight(self) -> np.ndarray:
        """(N,) weight of each flow: one by the number of flows of its unit, so that all units count alike."""
        return 1.0 / np.bincount(self.unit, minlength=self.count)[self.unit]


def noised_histogram(
    cells: np.ndarray,
    units: np.ndarray,
    weights: np.ndarray,
    num_cells: int,
    norm: float,
    scale: float,
    noise: SecretNoise,
) -> np.ndarray:
    """Weighted counts of `cells` with Gaussian noise of standard deviation ``scale * norm``: (`num_cells`,) float64.

    The counts of a unit whose L2 norm exceeds `norm` are scaled down to it, so that a unit changes the result by at
    most `norm`, whatever its events.

    Args:
        cells: (E,) cell of each event, below `num_cells`. units: (E,) unit that the event belongs to.
        weights: (E,) weight of each event.
    """
    pairs, place = np.unique(units.astype(np.int64) * num_cells + cells, return_inverse=True)
    counts = np.bincount(place.ravel(), weights, len(pairs))
    owner = pairs // num_cells
    norms = np.sqrt(np.bincount(owner, counts**2))
    counts = counts * np.minimum(1.0, norm / np.maximum(norms, 1e-12))[owner]
    return np.bincount(pairs % num_cells, counts, num_cells) + noise.normal((num_cells,), scale * norm)
