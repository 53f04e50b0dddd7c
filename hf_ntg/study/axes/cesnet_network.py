"""Multi-modal CESNET v2, a published network for flow records, with inputs from a flow table."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from hf_ntg.errors import InputError
from hf_ntg.metrics.views import FlowView

__all__ = ["CesnetInputs", "make_cesnet_network"]

PACKETS = 30  # what the network takes
_LONGEST, _LONGEST_GAP = 1_460, 15_000  # bytes and milliseconds, the limits of the published transforms
_STATISTICS = 5


def make_cesnet_network(num_classes: int) -> nn.Module:
    """The network of Luxemburk, Hynek, Čejka, "Encrypted traffic classification: the QUIC case", TMA 2023, untrained.

    Called with packets (B, 3, 30) and flow statistics (B, 5), it gives logits (B, K). It has about 2.3 million weights.

    Raises:
        InputError: the package cesnet-models is not installed.
    """
    try:
        from cesnet_models.models import mm_cesnet_v2
    except ImportError as error:
        raise InputError(
            "classifier 'mm_cesnet_v2' needs the package cesnet-models: pip install 'hf-ntg[cesnet]'"
        ) from error
    return mm_cesnet_v2(num_classes=num_classes, flowstats_input_size=_STATISTICS, ppi_input_channels=3)


class CesnetInputs:
    """Makes the network's inputs, scaled by the training flows.

    A packet has its inter-arrival time (milliseconds, at most 15,000), its direction and its payload length (1 to 1,460
    bytes); a flow has bytes and packets in each direction and its duration, over the packets in the view. Times are 0
    where a set has none. Times, lengths and statistics are shifted and scaled to mean 0 and deviation 1 over the
    training flows, statistics on a logarithmic scale; packets after a flow's end are 0.

    Args:
        train: the flows to scale by. timed: whether both sets have times.
    """

    def __init__(self, train: FlowView, timed: bool) -> None:
        self.timed = timed
        packets = self._packets(train)
        self._mean = packets[:, [0, 2]].mean(axis=0)
        self._deviation = packets[:, [0, 2]].std(axis=0) + 1e-9
        statistics = self._statistics(train)
        self._statistics_mean, self._statistics_deviation = statistics.mean(axis=0), statistics.std(axis=0) + 1e-9

    def __call__(self, view: FlowView) -> tuple[Tensor, Tensor]:
        """(N, 3, 30) packets and (N, 5) statistics of the flows of `view`, float32."""
        packets = self._packets(view)
        packets[:, [0, 2]] = (packets[:, [0, 2]] - self._mean) / self._deviation
        flows, kept = view.flows, view.flows.position < PACKETS
        padded = np.zeros((len(view), 3, PACKETS), dtype=np.float32)
        padded[flows.flow_index[kept], :, flows.position[kept]] = packets[kept]
        statistics = (self._statistics(view) - self._statistics_mean) / self._statistics_deviation
        return torch.from_numpy(padded), torch.from_numpy(statistics.astype(np.float32))

    def _gaps(self, view: FlowView) -> np.ndarray:
        """(P,) seconds since the previous packet; 0 for a flow's first packet."""
        if not self.timed or view.flows.inter_arrival_time is None:
            return np.zeros(len(view.flows.direction))
        return np.where(view.flows.position > 0, view.flows.inter_arrival_time, 0).astype(np.float64)

    def _packets(self, view: FlowView) -> np.ndarray:
        """(P, 3) time in milliseconds, direction, length."""
        gaps = np.minimum(1_000 * self._gaps(view), _LONGEST_GAP)
        return np.stack([gaps, view.flows.direction, view.flows.payload_length.clip(1, _LONGEST)], axis=1).astype(float)

    def _statistics(self, view: FlowView) -> np.ndarray:
        """(N, 5) logarithms of bytes up and down, packets up and down, and milliseconds."""
        flows, upward = view.flows, view.flows.direction > 0
        sums = [
            flows.payload_length * upward,
            flows.payload_length * ~upward,
            upward,
            ~upward,
            1_000 * self._gaps(view),
        ]
        return np.log1p(np.stack([np.bincount(flows.flow_index, part, len(view)) for part in sums], axis=1))
