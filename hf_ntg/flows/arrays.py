"""Flows as flat NumPy buffers, which all vectorised code computes on, and the one check of tables that come in."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import ClassLabel, Dataset, Features

from hf_ntg.errors import InputError
from hf_ntg.flows.provenance import provenance_of
from hf_ntg.flows.schema import FLOW_FEATURES, PACKET_COLUMNS, column_of, conform_flows

__all__ = ["FlowArrays", "as_arrays", "ragged_positions", "text_ranks"]


_RECURRING = ("label", "capture")  # columns of texts that many flows share


def text_ranks(texts: np.ndarray) -> np.ndarray:
    """(N,) int64 place of each text among the distinct ones in order; None counts as an empty text."""
    column = pa.array(texts, pa.string(), from_pandas=True).fill_null("").dictionary_encode()
    names = column.dictionary.to_pylist()
    rank = np.empty(len(names), dtype=np.int64)
    rank[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    return rank[column.indices.to_numpy()]


def ragged_positions(lengths: np.ndarray) -> np.ndarray:
    """Place of every entry within its row, for rows of the given `lengths` laid end to end: (sum,) int64."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - lengths, lengths)


@dataclass(frozen=True)
class FlowArrays:
    """N flows with P packets in all, their packets laid end to end.

    Attributes:
        offsets: (N + 1,) int64; flow i owns packets ``offsets[i]:offsets[i + 1]``.
        payload_length: (P,) int32 bytes. direction: (P,) int8, +1 or -1.
        inter_arrival_time: (P,) float32 seconds, or None. tcp_window: (P,) int32, or None.
        label: (N,) object (str or None). flow_id, capture: (N,) object, or None.
        protocol, source_port, destination_port, packet_count: (N,) int32, -1 where null, or None.
        cut: (N,) bool, which flows go on after the last packet held, or None where :func:`hf_ntg.flows.view.in_view`
            has not worked it out. Unlike a flow that is shorter than a horizon, a cut one has not ended.
        view: packet view that the flows are in, see :func:`hf_ntg.flows.view.in_view`; None if it is not known.
    """

    offsets: np.ndarray
    payload_length: np.ndarray
    direction: np.ndarray
    label: np.ndarray
    inter_arrival_time: np.ndarray | None = None
    tcp_window: np.ndarray | None = None
    flow_id: np.ndarray | None = None
    capture: np.ndarray | None = None
    protocol: np.ndarray | None = None
    source_port: np.ndarray | None = None
    destination_port: np.ndarray | None = None
    packet_count: np.ndarray | None = None
    cut: np.ndarray | None = None
    view: str | None = None

    @classmethod
    def from_dataset(cls, flows: Dataset) -> FlowArrays:
        """Read the schema's columns of `flows` (already conforming); packet columns are not copied.

        Raises:
            InputError: the marks of synthetic flows name two packet views, or one that the packets are not in.
        """
        found: dict[str, Any] = {"view": _marked_view(flows)}
        for name in flows.column_names:
            if name not in FLOW_FEATURES:
                continue
            column = column_of(flows, name)
            if name in PACKET_COLUMNS:
                offsets = column.offsets.to_numpy().astype(np.int64)
                found[name] = column.values.to_numpy(zero_copy_only=False)[offsets[0] : offsets[-1]]
                found["offsets"] = offsets - offsets[0]
            elif isinstance(flows.features[name], ClassLabel):
                names = np.array([*flows.features[name].names, None], dtype=object)
                found[name] = names[column.fill_null(-1).to_numpy(zero_copy_only=False)]
            elif pa.types.is_integer(column.type):
                found[name] = column.fill_null(-1).to_numpy(zero_copy_only=False)
            elif name in _RECURRING:
                found[name] = _shared_texts(column)
            else:
                found[name] = column.to_numpy(zero_copy_only=False)
        if found["view"] == "payload" and (found["payload_length"] == 0).any():
            raise InputError(
                "the table mixes synthetic flows of the packet view 'payload' with flows that hold empty packets; put "
                "all of them into one view first (hf_ntg.flows.view.in_view)"
            )
        return cls(**found)

    def to_table(self) -> pa.Table:
        """The flows as an Arrow table in the schema, with the columns that are there."""
        offsets = pa.array(self.offsets, pa.int32())
        columns, features = {}, {}
        for name, feature in FLOW_FEATURES.items():
            values = getattr(self, name)
            if values is None:
                continue
            if name in PACKET_COLUMNS:
                columns[name] = pa.ListArray.from_arrays(offsets, pa.array(values, feature.feature.pa_type))
            elif values.dtype == object:
                columns[name] = pa.array(values, pa.string(), from_pandas=True)
            else:
                columns[name] = pa.array(values, feature.pa_type, mask=values < 0)
            features[name] = feature
        return pa.table(columns, schema=Features(features).arrow_schema)

    def to_dataset(self) -> Dataset:
        """The flows as a data set in the schema, with the columns that are there."""
        return Dataset(self.to_table())

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def num_packets(self) -> np.ndarray:
        """(N,) packets held of each flow."""
        return np.diff(self.offsets)

    @cached_property
    def flow_index(self) -> np.ndarray:
        """(P,) the flow each packet belongs to."""
        return np.repeat(np.arange(len(self)), self.num_packets)

    @cached_property
    def position(self) -> np.ndarray:
        """(P,) place of each packet in its flow, from 0."""
        return ragged_positions(self.num_packets)

    @cached_property
    def signed_length(self) -> np.ndarray:
        """(P,) direction times payload length, int32; the sign of an empty payload is lost."""
        return self.direction.astype(np.int32) * self.payload_length

    @cached_property
    def packet_symbol(self) -> np.ndarray:
        """(P,) one int32 for direction and payload length together, one to one: ``2 * length + (direction < 0)``."""
        return 2 * self.payload_length + (self.direction < 0)

    def take(self, rows: np.ndarray) -> FlowArrays:
        """The flows at `rows` (indices or a boolean mask), in that order."""
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        lengths = self.num_packets[rows]
        packets = np.repeat(self.offsets[rows], lengths) + ragged_positions(lengths)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        return self._with(offsets, packets, rows)

    def head(self, max_packets: int) -> FlowArrays:
        """Every flow cut to its first `max_packets` packets; ``packet_count`` stays the number before the cut."""
        if not len(self) or self.num_packets.max() <= max_packets:
            return self
        offsets = np.concatenate([[0], np.cumsum(np.minimum(self.num_packets, max_packets))])
        cut = None if self.cut is None else self.cut | (self.num_packets > max_packets)
        longer = np.flatnonzero(self.num_packets > max_packets)
        # 1 where packets begin to be left out, -1 where that ends
        step = np.zeros(len(self.direction) + 1, dtype=np.int8)
        step[self.offsets[longer] + max_packets], step[self.offsets[longer + 1]] = 1, -1
        kept = np.cumsum(step[:-1], dtype=np.int8) == 0
        return replace(self._with(offsets, kept, slice(None)), cut=cut)

    def padded(self, name: str, width: int, fill: float = 0) -> np.ndarray:
        """Packet column or property `name` as a matrix: (N, width), rows cut or filled to `width`."""
        values = getattr(self, name)
        matrix = np.full((len(self), width), fill, dtype=values.dtype)
        kept = self.position < width
        matrix[self.flow_index[kept], self.position[kept]] = values[kept]
        return matrix

    def _with(self, offsets: np.ndarray, packets: np.ndarray, rows: np.ndarray | slice) -> FlowArrays:
        changed: dict[str, Any] = {"offsets": offsets}
        for field in fields(self)[1:]:
            values = getattr(self, field.name)
            if isinstance(values, np.ndarray):
                changed[field.name] = values[packets] if field.name in PACKET_COLUMNS else values[rows]
        return replace(self, **changed)


def _shared_texts(column: pa.Array) -> np.ndarray:
    """The texts of a column, (N,) object; equal ones are one Python object, so that a row takes 8 bytes."""
    encoded = column.dictionary_encode()
    names = np.array([*encoded.dictionary.to_pylist(), None], dtype=object)
    return names[encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)]


def _marked_view(flows: Dataset) -> str | None:
    """The packet view that the marks of synthetic flows name; None without marks."""
    views = {mark.view for mark in provenance_of(flows)}
    if len(views) > 1:
        raise InputError(f"the table mixes synthetic flows of the packet views {' and '.join(sorted(views))}")
    return next(iter(views), None)


def as_arrays(flows: object, source: str = "flows") -> FlowArrays:
    """Check a flow table and return it as arrays. ``FlowArrays``, which this package made, are returned as they are.

    Public functions that take flows call this once; what they call takes arrays.

    Args:
        flows: ``FlowArrays``, or any in-memory table that :func:`hf_ntg.flows.frames.as_dataset` takes.
        source: name of the table in messages.

    Raises:
        InputError: the table breaks the schema, see :func:`hf_ntg.flows.schema.conform_flows`.
    """
    return flows if isinstance(flows, FlowArrays) else FlowArrays.from_dataset(conform_flows(flows, source))
