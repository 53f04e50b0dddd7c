"""A hash of what a model can learn from flows: tells whether two tables are the same training data."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
from datasets import Dataset

from hf_ntg.flows.arrays import FlowArrays

__all__ = ["flows_digest"]

_LEARNED = (
    "offsets",
    "payload_length",
    "direction",
    "inter_arrival_time",
    "tcp_window",
    "label",
    "capture",
    "protocol",
    "destination_port",
)


def flows_digest(flows: Dataset | FlowArrays) -> str:
    """``sha256:`` and the hash of the labels, captures, headers and packets of `flows`, in order.

    Flow ids and source ports do not count: no model learns them.
    """
    arrays = flows if isinstance(flows, FlowArrays) else FlowArrays.from_dataset(flows)
    seen = hashlib.sha256()
    for name in _LEARNED:
        values = getattr(arrays, name)
        if values is not None:
            seen.update(f"{name} {len(values)}\n".encode())
            for part in _buffers(values):
                seen.update(part)
    return f"sha256:{seen.hexdigest()}"


def _buffers(values: np.ndarray) -> list[bytes | memoryview]:
    if values.dtype != object:
        return [np.ascontiguousarray(values).data.cast("B")] if len(values) else []
    text = pa.array(values, pa.large_string(), from_pandas=True)
    filled = text.fill_null("")
    _, places, letters = filled.buffers()
    ends = np.frombuffer(places, np.int64)[filled.offset : filled.offset + len(filled) + 1]
    whole = memoryview(letters)[ends[0] : ends[-1]] if letters is not None else b""
    return [text.is_null().to_numpy(zero_copy_only=False).tobytes(), np.diff(ends).tobytes(), whole]
