"""Checks that a disk has room for a table or a capture before most of its flows are made."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset

from hf_ntg.flows.frames import as_dataset
from hf_ntg.flows.schema import column_of
from hf_ntg.output_places import require_free_space

__all__ = ["FILE_BYTES", "LEAST_BYTES", "flows_in_file", "with_space_checked"]

FILE_BYTES = 4_096
"""Bytes on the disk of a file of a few packets: a block of most file systems."""
LEAST_BYTES = 2
"""Bytes of a flow in the densest format."""
_SAMPLE = 2_000  # flows
_CERTAIN = 0.8  # share of the estimate that is needed for certain
_PACKET_BYTES, _LONGEST_PAYLOAD = 70, 1_280  # headers of a packet in a capture; what of its payload is written at least


def with_space_checked(
    parts: Iterable[object], path: Path, total: int | None, least: int = LEAST_BYTES
) -> Iterator[object]:
    """Yield the flow tables `parts`, which are written to `path`, and check that the disk has room for all of them.

    A first check needs no flow. A second one follows the first table, which shows how many bytes a flow takes.

    Args:
        path: the file, whose suffix is the format, or a folder of captures.
        total: flows of all parts; those of the first part if None.
        least: bytes that each flow takes at least.

    Raises:
        InputError: the disk has too little space.
    """
    place = _existing(path)
    require_free_space(place, (total or 0) * least)
    remaining = iter(parts)
    first = next(remaining, None)
    if first is None:
        return
    flows = as_dataset(first, "flows to write")
    if len(flows):
        needed = max(_CERTAIN * _bytes_per_flow(flows, path.suffix), least) * (total or len(flows))
        require_free_space(place, int(needed))
    yield from chain([first], remaining)


def flows_in_file(source: str | Path) -> int | None:
    """The flows of a Parquet file, None for any other source."""
    path = Path(source)
    if path.suffix != ".parquet" or not path.is_file():
        return None
    try:
        return pq.read_metadata(path).num_rows
    except (pa.ArrowException, OSError):  # whoever reads the flows says what is wrong
        return None


def _bytes_per_flow(flows: Dataset, suffix: str) -> float:
    """Bytes of a flow in the format `suffix`, from the first flows."""
    sample = flows.select(range(min(len(flows), _SAMPLE)))
    if suffix == ".parquet":
        packed = pa.BufferOutputStream()
        pq.write_table(sample.with_format("arrow")[:], packed, compression="zstd")
        size = packed.tell()
    elif suffix in (".jsonl", ".csv"):
        size = sum(len(json.dumps(row if suffix == ".jsonl" else list(row.values()))) for row in sample)
    else:
        payload = column_of(sample, "payload_length").flatten().to_numpy(zero_copy_only=False)
        size = int((np.minimum(payload, _LONGEST_PAYLOAD) + _PACKET_BYTES).sum())
    return size / len(sample)


def _existing(path: Path) -> Path:
    while not path.is_dir() and path != path.parent:
        path = path.parent
    return path
