"""Baselines that keep the training flows and draw from them."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np

from hf_ntg.flows.arrays import FlowArrays, ragged_positions
from hf_ntg.models.baselines.baseline import Baseline
from hf_ntg.models.baselines.donors import DonorTable

__all__ = ["Independent", "Replay"]

_LEFT_OUT = ("label", "flow_id", "capture", "cut", "view")
_KEPT = [field.name for field in fields(FlowArrays) if field.name not in _LEFT_OUT]


class _Empirical(Baseline):
    """Keeps the training flows without flow ids and captures."""

    def _fit(self, flows: FlowArrays, classes: np.ndarray) -> None:
        self.flows = replace(flows, flow_id=None, capture=None, cut=None)
        self.classes = classes

    def _tensors(self) -> dict[str, np.ndarray]:
        held = {name: getattr(self.flows, name) for name in _KEPT}
        return {"classes": self.classes} | {name: values for name, values in held.items() if values is not None}

    def _restore(self, tensors: dict[str, np.ndarray]) -> None:
        self.classes = tensors.pop("classes")
        columns: dict[str, Any] = dict(tensors)
        self.flows = FlowArrays(label=np.array(self.labels, dtype=object)[self.classes], **columns)


class Replay(_Empirical):
    """Draws training flows of the wanted class with replacement: perfect fidelity, but nothing new."""

    kind = "replay"

    def _generate(self, classes: np.ndarray, rng: np.random.Generator) -> FlowArrays:
        return self.flows.take(DonorTable.fit([self.classes]).draw([classes], rng))


class Independent(_Empirical):
    """Draws every packet on its own: the score of a generator that ignores the order of packets.

    The number of packets, the protocol and the ports come from one training flow of the class. Each packet's direction
    and payload length come from a training packet of the class at the same position, its time from another such packet.
    """

    kind = "independent"

    def _generate(self, classes: np.ndarray, rng: np.random.Generator) -> FlowArrays:
        flows = self.flows
        frame = flows.take(DonorTable.fit([self.classes]).draw([classes], rng))
        donors = DonorTable.fit([self.classes[flows.flow_index] * self.max_packets + flows.position])
        position = ragged_positions(frame.num_packets)
        wanted = np.repeat(classes, frame.num_packets) * self.max_packets + position
        packets, others = donors.draw([wanted], rng), donors.draw([wanted], rng)
        return replace(
            frame,
            payload_length=flows.payload_length[packets],
            direction=flows.direction[packets],
            inter_arrival_time=None if flows.inter_arrival_time is None else flows.inter_arrival_time[others],
            tcp_window=None if flows.tcp_window is None else flows.tcp_window[packets],
        )
