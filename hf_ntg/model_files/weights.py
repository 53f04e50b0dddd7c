"""Checks of a safetensors file: names, types and shapes from its header, finite values, without loading a library."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np

from hf_ntg.model_files.fields import complain, short_reason, without_repeats

__all__ = ["Shapes", "check_weights", "tensor_table"]

MAX_HEADER = 8 * 2**20
MAX_BYTES = 2 * 2**30
_AT_ONCE = 2**20  # numbers whose finiteness is looked at together
_BYTES = {"F32": 4, "F64": 8, "I8": 1, "I32": 4, "I64": 8}  # of a number of each type that hf_ntg writes

Shapes = dict[str, tuple[int, ...]]
"""Name of each tensor to its shape."""


def check_weights(path: Path, expected: Shapes, spare: Shapes | None = None) -> None:
    """Check that the file holds exactly the tensors `expected`, as finite float32 numbers.

    Args:
        spare: tensors that may be there as well, such as a head that repeats the embedding.

    Raises:
        InputError: the file is missing or damaged, or a tensor is missing, has another shape or type, or is not finite.
    """
    start, header, _ = tensor_table(path)
    allowed = {**(spare or {}), **expected}
    for name in expected:
        if name not in header:
            raise complain(path, f"the tensor {name} is missing")
    for name, entry in header.items():
        if name not in allowed:
            raise complain(path, f"{ascii(name)[:60]} is no tensor of this model")
        if entry.get("dtype") != "F32" or entry.get("shape") != list(allowed[name]):
            is_, should = f"{entry.get('dtype')} {entry.get('shape')}"[:60], list(allowed[name])
            raise complain(path, f"{name} is {is_}, where the settings ask for F32 {should}")
    size = path.stat().st_size
    for first in range(start, size, 4 * _AT_ONCE):
        part = np.fromfile(path, dtype="<f4", count=min(_AT_ONCE, (size - first) // 4), offset=first)
        if not np.isfinite(part).all():
            raise complain(path, "a weight is not finite")


def tensor_table(path: Path) -> tuple[int, dict[str, dict[str, Any]], dict[str, str]]:
    """Read the header of a safetensors file without its tensors.

    Returns:
        Where the data begin, the entry of each tensor (``dtype``, ``shape``, ``data_offsets``), and the metadata.

    Raises:
        InputError: the file is missing, larger than 2 GiB or damaged, or its tensors do not fill it one after another.
    """
    if not path.is_file():
        raise complain(path, "no such file")
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise complain(path, f"larger than {MAX_BYTES // 2**30} GiB")
    start, header = _header(path, size)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise complain(path, "not a safetensors file (its metadata are no texts)")
    if not all(isinstance(entry, dict) for entry in header.values()):
        raise complain(path, "not a safetensors file (its header is no table of tensors)")
    _check_places(path, header, size - start)
    return start, header, metadata


def _header(path: Path, size: int) -> tuple[int, dict[str, Any]]:
    """Where the data begin, and the header's JSON object."""
    with path.open("rb") as file:
        head = file.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        if not 2 <= length <= min(MAX_HEADER, size - 8):
            raise complain(path, "not a safetensors file, or cut off")
        text = file.read(length)
    try:
        found = json.loads(text, object_pairs_hook=without_repeats)
    except (ValueError, RecursionError) as error:
        raise complain(path, f"not a safetensors file (its header is no JSON: {short_reason(error)})") from error
    if not isinstance(found, dict):
        raise complain(path, "not a safetensors file (its header is no object)")
    return 8 + length, found


def _check_places(path: Path, header: dict[str, Any], size: int) -> None:
    """Each tensor has the bytes of its shape, they follow one another, and fill the file."""
    places, end = [], 0
    for name, entry in header.items():
        offsets, shape, width = entry.get("data_offsets"), entry.get("shape"), _BYTES.get(str(entry.get("dtype")))
        if width is None or not _are_sizes(shape):
            is_ = f"{entry.get('dtype')} {shape}"[:60]
            raise complain(path, f"the tensor {ascii(name)[:60]} is {is_}, which no hf_ntg model holds")
        if not _are_sizes(offsets) or len(offsets) != 2:
            raise complain(path, f"{ascii(name)[:60]} has no place in the file")
        places.append((offsets[0], offsets[1], width * math.prod(shape)))
    for first, last, length in sorted(places):
        if first != end or last - first != length:
            raise complain(path, "the tensors do not fill the file one after another")
        end = last
    if end != size:
        raise complain(path, "cut off, or longer than its tensors")


def _are_sizes(value: Any) -> bool:
    """Whether `value` is a list of a few whole numbers from 0 to the largest size of a file."""
    return (
        isinstance(value, list)
        and len(value) <= 8
        and all(isinstance(size, int) and not isinstance(size, bool) and 0 <= size <= MAX_BYTES for size in value)
    )
