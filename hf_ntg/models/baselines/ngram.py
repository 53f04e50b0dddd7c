"""NGram: an n-gram model of packets for each class, the strongest simple baseline."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from datasets import Dataset

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays, as_arrays
from hf_ntg.flows.schema import MAX_PAYLOAD, MAX_SEGMENT
from hf_ntg.models.baselines.baseline import Baseline
from hf_ntg.models.baselines.counts import CountTable, draw_symbols, symbol_probability
from hf_ntg.models.baselines.donors import DonorTable
from hf_ntg.models.baselines.headers import HeaderTable
from hf_ntg.models.flow_streams import flow_points

__all__ = ["NGram"]

END = 2 * (MAX_PAYLOAD + 1)  # one above the packet symbols
START = END + 1
_TYPICAL = 2 * (MAX_SEGMENT + 1)  # packet symbols up to the largest TCP payload on Ethernet
_TYPICAL_SHARE = 0.99
_TABLE = ("contexts", "pairs", "counts")


class NGram(Baseline):
    """Draws each packet (direction and payload length together) given the last ``order - 1`` packets.

    The contexts, from long to short, are: class, the last ``order - 1`` packets and the position in the flow; class and
    the last ``order - 1`` packets; ...; class and the last packet; class; nothing. Each context subtracts an absolute
    discount from its counts and gives that mass to the next shorter one (interpolation). The last is a fixed
    distribution: 0.99 uniform over payloads up to 1,460 bytes and the end of the flow, 0.01 uniform over payloads up to
        65,535 bytes
    and the end, so that no flow has probability zero.

    A packet's inter-arrival time is copied from a random training packet of the class with the same position,
    direction, previous direction and power-of-two bucket of payload length. If there is none, it is copied from one
    with the same two directions, else from any of the class. Protocol and ports are copied from a training flow of the
    class with the same first packet, else from any of the class.

    Args:
        order: length of the n-gram: the packet that is drawn and ``order - 1`` packets before it.
        scale: factor on the discounts that are estimated from the counts.

    Source: Ney, Essen, Kneser, On structuring probabilistic dependences in stochastic language modelling, Computer
    Speech and Language 8(1), 1994.
    """

    kind = "n-gram"

    def __init__(self, order: int = 3, scale: float = 1.0):
        if order < 1:
            raise InputError(f"an n-gram of order {order}: choose 1 or more")
        self.order, self.scale = order, scale

    @property
    def name(self) -> str:
        """Its name with the order, such as ``4-gram``."""
        return f"{self.order}-gram"

    def log_likelihood(self, flows: Dataset | FlowArrays) -> np.ndarray:
        """Natural log of the probability of each flow's packets given its label: (N,).

        It covers the first ``max_packets`` packets and, for a shorter flow, its end. A label that was not in the
        training flows uses the counts without context.
        """
        arrays = as_arrays(flows)
        place = {name: k for k, name in enumerate(self.labels)}
        classes = np.array([place.get(label, -1) for label in arrays.label], dtype=np.int64)
        matrix = arrays.padded("packet_symbol", self.max_packets, fill=END).astype(np.int64)  # (N, W)
        ends = _ends(arrays)
        total = np.zeros(len(arrays))
        for position in range(self.max_packets):
            alive = np.flatnonzero(arrays.num_packets + ends > position)
            rows = self._rows(classes[alive], matrix[alive, :position])
            total[alive] += np.log(self._probability(rows, matrix[alive, position]))
            if position == 0:  # a flow has a first packet
                total -= np.log1p(-self._probability(rows, np.full(len(alive), END)))
        return total

    def _fit(self, flows: FlowArrays, classes: np.ndarray) -> None:
        matrix = flows.padded("packet_symbol", self.max_packets, fill=END).astype(np.int64)  # (N, W)
        flow, position = np.nonzero(np.arange(self.max_packets) < (flows.num_packets + _ends(flows))[:, None])
        padded = np.pad(matrix, ((0, 0), (self.order - 1, 0)), constant_values=START)
        history = [np.zeros_like(flow), classes[flow]]
        history += [padded[flow, position + self.order - 1 - back] for back in range(1, self.order)] + [position]
        self.tables, rows = [], np.zeros_like(flow)
        for item in history:
            table, rows = CountTable.count(rows, item, matrix[flow, position], self.scale)
            self.tables.append(table)
        self.times = flows.inter_arrival_time
        self.time_donors = DonorTable.fit(self._time_keys(flows, classes) if self.times is not None else [])
        self.headers = HeaderTable.fit(flows, classes)

    def _generate(self, classes: np.ndarray, rng: np.random.Generator) -> FlowArrays:
        matrix = self._draw_packets(classes, rng)
        packets = matrix != END
        symbols = matrix[packets]
        flows = FlowArrays(
            offsets=np.concatenate([[0], np.cumsum(packets.sum(axis=1))]),
            payload_length=(symbols // 2).astype(np.int32),
            direction=(1 - 2 * (symbols % 2)).astype(np.int8),
            label=np.array(self.labels, dtype=object)[classes],
        )
        if self.times is not None:
            donors = self.time_donors.draw(self._time_keys(flows, classes), rng)
            flows = replace(flows, inter_arrival_time=self.times[donors])
        return self.headers.give(flows, classes, rng)

    def _draw_packets(self, classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(N, W) packet symbols, END where a flow is over.

        The draws of a place are as even as those of causal models, see :func:`hf_ntg.models.flow_streams.flow_points`.
        """
        width = self.max_packets
        points = flow_points(int(rng.integers(2**62)), 0, len(classes), width, width)
        matrix = np.full((len(classes), self.max_packets), END, dtype=np.int64)
        for position in range(self.max_packets):
            # A flow has a first packet: there END is drawn again. Later on it is over.
            undecided = np.arange(len(classes)) if position == 0 else np.flatnonzero(matrix[:, position - 1] != END)
            uniform = points[undecided, position]
            while len(undecided):
                rows = self._rows(classes[undecided], matrix[undecided, :position])
                drawn = draw_symbols(self.tables, rows, uniform)
                drawn[drawn < 0] = _base_symbols((drawn < 0).sum(), self._least_symbol, rng)
                matrix[undecided, position] = drawn
                undecided = undecided[drawn == END] if position == 0 else undecided[:0]
                uniform = rng.random(len(undecided))
        return matrix

    def _rows(self, classes: np.ndarray, past: np.ndarray) -> list[np.ndarray]:
        """The row of each context, shortest first, after the packets `past` (N, position): a list of (N,)."""
        position = past.shape[1]
        history = [np.zeros_like(classes), classes]
        for back in range(1, self.order):
            history += [past[:, -back] if back <= position else np.full(len(classes), START)]
        history += [np.full(len(classes), position)]
        rows, found = np.zeros_like(classes), []
        for table, item in zip(self.tables, history, strict=True):
            rows = table.rows_of(rows, item)
            found.append(rows)
        return found

    def _probability(self, rows: list[np.ndarray], symbols: np.ndarray) -> np.ndarray:
        least = self._least_symbol
        typical = (symbols < _TYPICAL) | (symbols == END)
        base = _TYPICAL_SHARE * typical / (_TYPICAL + 1 - least) + (1 - _TYPICAL_SHARE) / (END + 1 - least)
        return symbol_probability(self.tables, rows, symbols, base)

    @property
    def _least_symbol(self) -> int:
        """The first packet symbol: that of one byte in the packet view ``payload``, else of an empty packet."""
        return 2 if self.view == "payload" else 0

    def _time_keys(self, flows: FlowArrays, classes: np.ndarray) -> list[np.ndarray]:
        before = np.concatenate([[0], flows.direction[:-1]])
        before[flows.position == 0] = 0
        directions = 3 * (flows.direction.astype(np.int64) + 1) + before + 1  # < 9
        bucket = np.frexp(flows.payload_length)[1].astype(np.int64)  # 0 for an empty payload, < 32
        owner = classes[flows.flow_index]
        fine = ((owner * self.max_packets + flows.position) * 9 + directions) * 32 + bucket
        return [fine, owner * 9 + directions, owner]

    def _tensors(self) -> dict[str, np.ndarray]:
        tensors = self.headers.tensors() | self.time_donors.tensors("time_donors")
        tensors["scale"] = np.array([self.scale])
        if self.times is not None:
            tensors["times"] = self.times
        for k, table in enumerate(self.tables):
            tensors |= {f"tables.{k}.{name}": getattr(table, name) for name in _TABLE}
        return tensors

    def _restore(self, tensors: dict[str, np.ndarray]) -> None:
        self.scale = float(tensors["scale"][0])
        levels = range(sum(name.startswith("tables.") for name in tensors) // len(_TABLE))
        self.tables = [
            CountTable(**{name: tensors[f"tables.{k}.{name}"] for name in _TABLE}, scale=self.scale) for k in levels
        ]
        self.order = len(self.tables) - 2
        self.times = tensors.get("times")
        self.time_donors = DonorTable.restore(tensors, "time_donors")
        self.headers = HeaderTable.restore(tensors)


def _ends(flows: FlowArrays) -> np.ndarray:
    """(N,) 1 where the end of a flow is known, 0 where the flow was cut."""
    return np.ones(len(flows), dtype=np.int64) if flows.cut is None else 1 - flows.cut.astype(np.int64)


def _base_symbols(count: int, least: int, rng: np.random.Generator) -> np.ndarray:
    typical = rng.integers(least, _TYPICAL + 1, count)
    typical[typical == _TYPICAL] = END
    return np.where(rng.random(count) < _TYPICAL_SHARE, typical, rng.integers(least, END + 1, count))
