"""What a flow is: the columns every flow table in the project has, and the check that a table keeps to them.

A *biflow* is one row. Its packets are lists of one length, in order of capture:

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
tcp_window             list<int32>     raw header field, 0 for UDP
packet_count           int32           packets of the flow before any cut
capture                string          capture the flow came from: the group of a leakage-free split
=====================  ==============  ==================================================================

Only ``label`` (which may be null), ``payload_length`` and ``direction`` are required. Other columns are left alone.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel, Dataset, Features, List, Value

from hf_ntg.errors import InputError

__all__ = [
    "FLOW_FEATURES",
    "MAX_PAYLOAD",
    "PACKET_COLUMNS",
    "REQUIRED_COLUMNS",
    "TCP",
    "UDP",
    "column_of",
    "conform_flows",
]

TCP, UDP = 6, 17
MAX_PAYLOAD = 65_535

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

_RANGES = {
    "protocol": (0, 255),
    "source_port": (0, 65_535),
    "destination_port": (0, 65_535),
    "payload_length": (0, MAX_PAYLOAD),
    "direction": (-1, 1),
    "inter_arrival_time": (0.0, float("inf")),
    "tcp_window": (0, 65_535),
    "packet_count": (0, 2**31 - 1),
}


def conform_flows(flows: Dataset, source: str) -> Dataset:
    """Check `flows` against the schema and return it with the schema's types.

    Columns that the schema does not know are kept as they are. `source` names the table in messages.

    Raises:
        InputError: a required column is missing, a type cannot be cast, a value is out of range, or a row's packet
            lists differ in length; the message names the column and the first offending row.
    """
    missing = [name for name in REQUIRED_COLUMNS if name not in flows.column_names]
    if missing:
        raise InputError(
            f"{source}: no column {', '.join(map(repr, missing))}; a flow table needs {', '.join(REQUIRED_COLUMNS)} "
            f"(found: {', '.join(flows.column_names) or 'none'})"
        )
    if not len(flows):
        raise InputError(f"{source}: holds no flows")
    described = flows.info.description
    flows = _cast(flows, source)
    flows.info.description = described  # holds the marks of synthetic flows
    columns = {name: column_of(flows, name) for name in flows.column_names if name in FLOW_FEATURES}
    for name, column in columns.items():
        _check_values(name, column, source)
    _check_list_lengths(columns, source)
    return flows


def column_of(flows: Dataset, name: str) -> pa.Array:
    """One column as a single Arrow array, zero-copy where the data set is one chunk and unshuffled."""
    column = flows.data.column(name).combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    return column if flows._indices is None else column.take(flows._indices.column(0).combine_chunks())


def _cast(flows: Dataset, source: str) -> Dataset:
    flows = _named_classes(flows)
    features = Features({name: FLOW_FEATURES.get(name, kind) for name, kind in flows.features.items()})
    if features == flows.features:
        return flows
    try:
        return Dataset(flows.with_format("arrow")[:].cast(features.arrow_schema))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, TypeError) as error:
        raise InputError(f"{source}: a column cannot be read as the flow schema wants it: {error}") from error


def _named_classes(flows: Dataset) -> Dataset:
    """`flows` with names in the place of the numbers of a ``ClassLabel`` column, as data sets on the Hub have them."""
    numbered = [name for name in FLOW_FEATURES if isinstance(flows.features.get(name), ClassLabel)]
    if not numbered:
        return flows
    table = flows.with_format("arrow")[:]
    features = Features(flows.features)
    for name in numbered:
        names = pa.array(flows.features[name].names, pa.string())
        column = names.take(table.column(name).combine_chunks())
        table = table.set_column(table.column_names.index(name), name, column)
        features[name] = Value("string")
    return Dataset(table.cast(features.arrow_schema))


def _check_values(name: str, column: pa.Array, source: str) -> None:
    """Nulls and ranges; the first offender is named by row (and packet)."""
    if name in PACKET_COLUMNS:
        if column.null_count:
            raise InputError(f"{source}: column '{name}', row {_first(pc.is_null(column))}: null; give a list")
        values = column.flatten()
    else:
        values = column
    if name not in _RANGES:
        return
    low, high = _RANGES[name]
    numbers = values.to_numpy(zero_copy_only=False)
    if name in PACKET_COLUMNS:
        bad = ~((numbers >= low) & (numbers <= high))  # also true of null and NaN
        bad |= (numbers == 0) if name == "direction" else ~np.isfinite(numbers.astype(np.float64))
    else:
        bad = (numbers < low) | (numbers > high)  # a null header fact is allowed
    if not bad.any():
        return
    place = int(np.argmax(bad))
    if name in PACKET_COLUMNS:
        offsets = column.offsets.to_numpy() - column.offsets[0].as_py()
        row = int(np.searchsorted(offsets, place, side="right")) - 1
        where = f"row {row}, packet {place - offsets[row]}"
    else:
        where = f"row {place}"
    wanted = "+1 or -1" if name == "direction" else f"{low} to {high}"
    raise InputError(f"{source}: column '{name}', {where}: {numbers[place]} is not {wanted}")


def _check_list_lengths(columns: dict[str, pa.Array], source: str) -> None:
    lengths = {name: pc.list_value_length(columns[name]) for name in PACKET_COLUMNS if name in columns}
    reference = lengths["payload_length"]
    for name, found in lengths.items():
        unequal = pc.not_equal(found, reference)
        if pc.any(unequal).as_py():
            row = _first(unequal)
            raise InputError(
                f"{source}: row {row}: '{name}' has {found[row]} entries and 'payload_length' {reference[row]}; "
                "the packet lists of a flow must be equally long"
            )
    empty = pc.equal(reference, 0)
    if pc.any(empty).as_py():
        raise InputError(f"{source}: row {_first(empty)}: a flow without packets; remove it")


def _first(mask: pa.Array) -> int:
    return pc.index(mask, True).as_py()
