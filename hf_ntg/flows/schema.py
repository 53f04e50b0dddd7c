"""The schema of a flow table, and the check that a table follows it.

A *biflow* is one row. Its packets are lists of equal length, in order of capture:

=====================  ==============  ==================================================================
column                 type            meaning
=====================  ==============  ==================================================================
flow_id                string          unique name of the flow in its table
label                  string          class of the flow (application, service, device); null where unknown
protocol               int32           IP protocol number: 6 TCP, 17 UDP
source_port            int32           port of the flow's initiator
destination_port       int32           port of the other side
payload_length         list<int32>     transport payload, bytes; zero-payload TCP packets are kept
direction              list<int8>      +1 from the initiator (upstream), -1 towards it (downstream)
inter_arrival_time     list<float32>   seconds since the flow's previous packet, the first 0
tcp_window             list<int32>     raw header field, 0 for UDP and where unknown
packet_count           int32           packets of the flow before any cut and any packet view, empty ones included
capture                string          capture the flow came from: the group of a leakage-free split
=====================  ==============  ==================================================================

Only ``label`` (which may be null), ``payload_length`` and ``direction`` are required. Null in any other column of the
schema means unknown. Columns that the schema does not know are kept as they are, except ``provenance`` with marks of
synthetic flows, which become marks of the table (:mod:`hf_ntg.flows.provenance`).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeGuard

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel, Dataset, Features, List, Value

from hf_ntg.constants import MAX_DATAGRAM, MAX_SEGMENT, TCP, UDP
from hf_ntg.errors import InputError
from hf_ntg.flows.columns import MAX_PAYLOAD, number_column, packet_column, text_column
from hf_ntg.flows.frames import as_dataset
from hf_ntg.flows.provenance import with_marks_of_column

__all__ = [
    "FLOW_FEATURES",
    "MAX_DATAGRAM",
    "MAX_PAYLOAD",
    "MAX_SEGMENT",
    "PACKET_COLUMNS",
    "REQUIRED_COLUMNS",
    "TCP",
    "UDP",
    "column_of",
    "conform_flows",
    "conform_parts",
    "in_parts",
]

FLOW_FEATURES = Features(
    {
        "flow_id": Value("string"),
        "label": Value("string"),
        "protocol": Value("int32"),
        "source_port": Value("int32"),
        "destination_port": Value("int32"),
        "payload_length": List(Value("int32")),
        "direction": List(Value("int8")),
        "inter_arrival_time": List(Value("float32")),
        "tcp_window": List(Value("int32")),
        "packet_count": Value("int32"),
        "capture": Value("string"),
    }
)
REQUIRED_COLUMNS = ("label", "payload_length", "direction")
PACKET_COLUMNS = ("payload_length", "direction", "inter_arrival_time", "tcp_window")


def conform_flows(flows: object, source: str) -> Dataset:
    """Check a flow table against the schema and return it with the schema's types.

    Every entry point of the package checks its flows here. Null means unknown: ``tcp_window`` becomes 0 in such rows;
    ``inter_arrival_time`` is left out of the table, with a warning, if it is unknown in only some rows.

    Args:
        flows: any in-memory table that :func:`hf_ntg.flows.frames.as_dataset` takes.
        source: name of the table in messages.

    Raises:
        InputError: a required column is missing, a column has the wrong type, a value is out of range, or the packet
            lists of a row differ in length. The message names the column, the first such row and its value.
    """
    table = with_marks_of_column(as_dataset(flows, source))
    missing = [name for name in REQUIRED_COLUMNS if name not in table.column_names]
    if missing:
        raise InputError(
            f"{source}: no column {', '.join(map(repr, missing))}; a flow table needs {', '.join(REQUIRED_COLUMNS)} "
            f"(found: {', '.join(table.column_names[:40]) or 'none'})"
        )
    if not len(table):
        raise InputError(f"{source}: holds no flows")
    columns = {name: _conformed(table, name, source) for name in table.column_names if name in FLOW_FEATURES}
    _check_list_lengths(columns, source)
    known = _without_nulls(columns, source)
    if all(known.get(name) is column for name, column in columns.items()) and _has_schema_types(table):
        return table
    return _with_columns(table, known)


def in_parts(flows: object) -> TypeGuard[Iterable[object]]:
    """Whether `flows` are tables one after another, rather than one table."""
    if isinstance(flows, list | tuple):
        return not flows or not isinstance(flows[0], Mapping)
    return isinstance(flows, Iterator)


def conform_parts(flows: object, source: str, may_be_empty: bool = False) -> Iterator[Dataset]:
    """Check a flow table, or flow tables one after another, and yield them with the schema's types.

    Args:
        flows: a table as for :func:`conform_flows`, or a list or iterator of such tables. Empty tables are left out.
        source: name of the flows in messages.
        may_be_empty: if no table holds a flow, yield the last one, which has the columns.

    Raises:
        InputError: see :func:`conform_flows`; or no table holds a flow.
    """
    row, table = 0, None
    for part in flows if in_parts(flows) else [flows]:
        table = as_dataset(part, source)
        if len(table):
            yield conform_flows(table, f"{source} from row {row}" if row else source)
        row += len(table)
    if row:
        return
    if table is None or not may_be_empty:
        raise InputError(f"{source}: holds no flows")
    yield table


def column_of(flows: Dataset, name: str) -> pa.Array:
    """One column as a single Arrow array, zero-copy where the data set is one chunk and unshuffled."""
    column = flows.data.column(name).combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    return column if flows._indices is None else column.take(flows._indices.column(0).combine_chunks())


def _conformed(flows: Dataset, name: str, source: str) -> pa.Array:
    """Column `name` checked by itself, with the schema's type."""
    column, wanted = column_of(flows, name), FLOW_FEATURES.arrow_schema.field(name).type
    if name in PACKET_COLUMNS:
        return packet_column(name, column, wanted, source)
    if pa.types.is_string(wanted):
        feature = flows.features[name]
        if isinstance(feature, ClassLabel):
            column = pa.array(feature.names, pa.string()).take(column)
        return text_column(name, column, source)
    return number_column(name, column, wanted, source)


def _check_list_lengths(columns: dict[str, pa.Array], source: str) -> None:
    """Every flow has packets, and the packet lists of a row have one length; null lists of optional columns pass."""
    lengths = {name: pc.list_value_length(columns[name]) for name in PACKET_COLUMNS if name in columns}
    for name in ("payload_length", "direction"):
        if lengths[name].null_count:
            row = _first(pc.is_null(lengths[name]))
            raise InputError(f"{source}: column '{name}', row {row}: null; give a list")
    reference = lengths["payload_length"]
    for name, found in lengths.items():
        unequal = pc.fill_null(pc.not_equal(found, reference), False)
        if pc.any(unequal).as_py():
            row = _first(unequal)
            raise InputError(
                f"{source}: row {row}: '{name}' has {found[row]} entries and 'payload_length' {reference[row]}; "
                "the packet lists of a flow must be equally long"
            )
    empty = pc.equal(reference, 0)
    if pc.any(empty).as_py():
        raise InputError(f"{source}: row {_first(empty)}: a flow without packets; remove it")


def _without_nulls(columns: dict[str, pa.Array], source: str) -> dict[str, pa.Array]:
    """The columns without null lists: optional packet columns are filled or left out."""
    known = dict(columns)
    times, windows = (columns.get(name) for name in ("inter_arrival_time", "tcp_window"))
    if times is not None and times.null_count:
        del known["inter_arrival_time"]
        if times.null_count < len(times):
            warnings.warn(
                f"{source}: 'inter_arrival_time' is null in {times.null_count} of {len(times)} flows: the column is "
                "left out; remove these flows to keep it",
                stacklevel=4,
            )
    if windows is not None and windows.null_count == len(windows):
        del known["tcp_window"]
    elif windows is not None and windows.null_count:
        known["tcp_window"] = _filled(windows, columns["payload_length"])
    return known


def _filled(lists: pa.ListArray, like: pa.ListArray) -> pa.ListArray:
    """`lists` with zeros in place of a null list, as many as `like` has entries in that row."""
    counts = pc.list_value_length(like).to_numpy(zero_copy_only=False)
    is_known = pc.is_valid(lists).to_numpy(zero_copy_only=False)
    values = np.zeros(counts.sum(), np.int32)
    values[np.repeat(is_known, counts)] = lists.flatten().to_numpy(zero_copy_only=False)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(values, lists.type.value_type))


def _has_schema_types(flows: Dataset) -> bool:
    return all(FLOW_FEATURES.get(name, kind) == kind for name, kind in flows.features.items())


def _with_columns(flows: Dataset, known: dict[str, pa.Array]) -> Dataset:
    """`flows` with the schema's columns replaced by `known`; those that `known` lacks are left out."""
    names = [name for name in flows.column_names if name in known or name not in FLOW_FEATURES]
    others = [name for name in names if name not in known]
    rest = flows.select_columns(others).with_format("arrow")[:] if others else pa.table({})
    features = Features({name: FLOW_FEATURES.get(name, flows.features[name]) for name in names})
    metadata = flows.data.schema.metadata
    schema = features.arrow_schema
    schema = schema.with_metadata({**(metadata or {}), **(schema.metadata or {})})
    columns = [known[name] if rest is None or name in known else rest.column(name) for name in names]
    conformed = Dataset(pa.table(columns, schema=schema))
    conformed.info.description = flows.info.description  # where marks of provenance are kept
    return conformed


def _first(mask: pa.Array) -> int:
    return pc.index(mask, True).as_py()
