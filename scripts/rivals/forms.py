"""Flows as table synthesisers see them, and back: a row a flow, a row a packet, or a JSON object a flow.

In all three forms a packet is a signed size (direction times payload length plus one, so that an empty packet keeps its
direction) and the base-10 logarithm of its inter-arrival time in seconds. What comes back is read as a flow: sizes are
rounded, lengths clipped to 0 to 65,535 bytes, and a flow has one packet at least. The module needs no hf_ntg, since it
runs in the environments of the synthesisers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

__all__ = [
    "as_objects",
    "as_packets",
    "as_rows",
    "from_objects",
    "from_packets",
    "from_rows",
    "from_sizes",
    "read_flows",
    "write_flows",
]

LEAST_TIME = 1e-6  # seconds
LOG_LEAST = -6.0
MAX_PAYLOAD = 65_535
SCHEMA = pa.schema(
    [
        ("label", pa.string()),
        ("payload_length", pa.list_(pa.int32())),
        ("direction", pa.list_(pa.int8())),
        ("inter_arrival_time", pa.list_(pa.float32())),
    ]
)


def read_flows(path: str) -> pd.DataFrame:
    """The labelled flows of a Parquet table."""
    flows = pq.read_table(path).to_pandas()
    return flows[flows["label"].notna()].reset_index(drop=True)


def write_flows(made: list[dict], path: str) -> None:
    """Write flows in the schema that hf_ntg reads; without times, if they have none."""
    known = pa.schema([column for column in SCHEMA if column.name in made[0]])
    pq.write_table(pa.Table.from_pylist(made, known), path)


def as_rows(flows: pd.DataFrame, width: int) -> pd.DataFrame:
    """One row a flow: ``label``, ``packets``, ``packet_i``, ``time_i``; 0 where a flow has ended."""
    lists = [_packet_numbers(row, width) for row in flows.itertuples()]
    columns: dict[str, Any] = {"label": flows["label"], "packets": [len(sizes) for sizes, _ in lists]}
    for place in range(width):
        columns[f"packet_{place}"] = [sizes[place] if place < len(sizes) else 0 for sizes, _ in lists]
    for place in range(1, width):
        columns[f"time_{place}"] = [times[place] if place < len(times) else 0.0 for _, times in lists]
    return pd.DataFrame(columns)


def from_rows(rows: pd.DataFrame, width: int) -> list[dict]:
    """The inverse of :func:`as_rows`."""
    made = []
    for row in rows.to_dict("records"):
        packets = int(np.clip(round(float(row["packets"])), 1, width))
        times = [0.0, *(row[f"time_{place}"] for place in range(1, packets))]
        made.append(_flow(row["label"], [row[f"packet_{place}"] for place in range(packets)], times))
    return made


def from_sizes(label: str, sizes: Sequence) -> dict:
    """A flow without times: the `sizes` before the first 0, which is the end, and one packet at least."""
    ends = [place for place, size in enumerate(sizes) if size == 0]
    kept = sizes[: ends[0]] if ends else sizes
    found = _flow(label, kept if len(kept) else [1], [0.0] * max(1, len(kept)))
    del found["inter_arrival_time"]
    return found


def as_packets(flows: pd.DataFrame, width: int) -> pd.DataFrame:
    """One row a packet, in order: ``flow`` (its name), ``label``, ``packet``, ``time``."""
    parts = []
    for index, row in enumerate(flows.itertuples()):
        sizes, times = _packet_numbers(row, width)
        parts.append(pd.DataFrame({"flow": f"flow-{index}", "label": row.label, "packet": sizes, "time": times}))
    return pd.concat(parts, ignore_index=True)


def from_packets(packets: pd.DataFrame) -> list[dict]:
    """The inverse of :func:`as_packets`."""
    groups = packets.groupby("flow", sort=False)
    return [_flow(own["label"].iloc[0], own["packet"], own["time"]) for _, own in groups]


def as_objects(flows: pd.DataFrame, width: int) -> list[dict]:
    """One object a flow: ``{"label": …, "sizes": ["+518", "-1449", …], "times": [-1.52, …]}``.

    The first packet has no time. Sizes are words, because models of JSON take numbers of many values as continuous. Two
    arrays need half the tokens of an array of packets.
    """
    made = []
    for row in flows.itertuples():
        sizes, times = _packet_numbers(row, width)
        made.append({"label": row.label, "sizes": [f"{size:+d}" for size in sizes], "times": times[1:]})
    return made


def from_objects(objects: Iterable[dict]) -> list[dict]:
    """The inverse of :func:`as_objects`. Objects that cannot be read as a flow are left out.

    Surplus times are ignored, and a packet without a time follows at once.
    """
    return [flow for flow in map(_object_flow, objects) if flow is not None]


def _object_flow(found: dict) -> dict | None:
    label, sizes, times = (found.get(name) for name in ("label", "sizes", "times"))
    if not isinstance(label, str) or not isinstance(sizes, list) or not sizes:
        return None
    times = [time if isinstance(time, float) else LOG_LEAST for time in times or []]
    try:
        numbers = [int(size) for size in sizes]
    except (TypeError, ValueError):
        return None
    return _flow(label, numbers, [0.0, *times, *[LOG_LEAST] * len(numbers)][: len(numbers)])


def _packet_numbers(row: Any, width: int) -> tuple[list[int], list[float]]:
    lengths, directions = np.asarray(row.payload_length[:width]), np.asarray(row.direction[:width])
    seconds = np.asarray(getattr(row, "inter_arrival_time", np.zeros(len(lengths)))[:width], dtype=float)
    times = np.log10(np.maximum(seconds, LEAST_TIME))
    times[0] = 0.0
    return (directions.astype(int) * (lengths.astype(int) + 1)).tolist(), times.tolist()


def _flow(label: str, sizes: Sequence, times: Sequence) -> dict:
    sizes = np.rint(np.nan_to_num(np.asarray(sizes, dtype=float)))
    seconds = 10 ** np.clip(np.nan_to_num(np.asarray(times, dtype=float)), LOG_LEAST, 6)
    seconds[seconds <= LEAST_TIME] = 0.0
    seconds[0] = 0.0
    return {
        "label": str(label),
        "payload_length": np.clip(np.abs(sizes) - 1, 0, MAX_PAYLOAD).astype(int).tolist(),
        "direction": np.where(sizes < 0, -1, 1).tolist(),
        "inter_arrival_time": seconds.tolist(),
    }
