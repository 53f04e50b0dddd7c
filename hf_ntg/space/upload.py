"""Flows that a visitor uploads to compare with: read within bounds, and labelled where they have no labels."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from hf_ntg.errors import InputError
from hf_ntg.flows import LabelRules, ReadingOptions, import_flows, load_flows
from hf_ntg.flows.arrays import FlowArrays, as_arrays

__all__ = ["FILE_TYPES", "MOST_BYTES", "read_upload"]

FILE_TYPES = [".pcap", ".pcapng", ".parquet", ".csv", ".jsonl"]
MOST_BYTES = 20 << 20
_MOST_FLOWS = 20_000  # of an upload; the first ones are compared
_FIELD = "Your flows"


def read_upload(path: str | Path, labels: Sequence[str]) -> FlowArrays:
    """Read an uploaded capture or flow table.

    Args:
        path: the file, of a kind in `FILE_TYPES`. labels: the classes that are shown.

    Returns:
        The flows whose class is one of `labels`. Flows without any label count as those of the one class that is shown.

    Raises:
        InputError: the file is too large or cannot be read, or none of its flows belongs to a class that is shown.
    """
    path = Path(path)
    if path.suffix.lower() not in FILE_TYPES:
        raise InputError(f"{_FIELD}: give one of {', '.join(FILE_TYPES)}")
    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"{_FIELD}: larger than {MOST_BYTES >> 20} MB; compare large files with 'ntg evaluate'")
    try:
        arrays = _read(path)
    except InputError as error:
        raise InputError(f"{_FIELD}: {str(error).replace(str(path), path.name)}") from error
    return _of_classes(arrays, labels)


def _read(path: Path) -> FlowArrays:
    if path.suffix.lower() == ".parquet":
        flows = load_flows(path)
    else:
        with tempfile.TemporaryDirectory(prefix="ntg-upload-") as folder:
            table = Path(folder) / "flows.parquet"
            import_flows([path], table, ReadingOptions(labels=LabelRules(), max_packets=100))
            flows = load_flows(table)
    return as_arrays(flows.select(range(min(len(flows), _MOST_FLOWS))), path.name)


def _of_classes(arrays: FlowArrays, labels: Sequence[str]) -> FlowArrays:
    found = Counter(arrays.label.tolist())
    if set(found) == {None}:
        if len(labels) != 1:
            raise InputError(f"{_FIELD}: they have no labels; choose the one class that they belong to")
        return replace(arrays, label=np.full(len(arrays), labels[0], dtype=object))
    kept = np.isin(arrays.label.astype(str), list(labels))
    if not kept.any():
        named = ", ".join(str(name) for name, _ in found.most_common(5) if name is not None)
        raise InputError(f"{_FIELD}: their classes ({named}) are not among those shown ({', '.join(labels[:5])})")
    return arrays.take(kept)
