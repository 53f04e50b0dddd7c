"""Weights in a safetensors file: names, types and shapes from the header, finite values, without loading a library."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np

from hf_ntg.model_files.fields import complain

__all__ = ["Shapes", "check_weights"]

MAX_HEADER = 8 * 2**20
MAX_BYTES = 2 * 2**30
_AT_ONCE = 2**20  # numbers whose finiteness is looked at together

Shapes = dict[str, tuple[int, ...]]
"""Name of each tensor to its shape."""


def check_weights(path: Path, expected: Shapes, spare: Shapes | None = None) -> None:
    """Check that the file holds exactly the tensors `expected`, as finite float32 numbers.

    Args:
        spare: tensors that may be there as well, such as a head that repeats the embedding.

    Raises:
        InputError: the file is missing or damaged, or a tensor is missing, has another shape or type, or is not finite.
    """
    if not path.is_file():
        raise complain(path, "no such file")
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise complain(path, f"larger than {MAX_BYTES // 2**30} GiB")
    start, header = _header(path, size)
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
    _check_places(path, header, size - start)
    for first in range(start, size, 4 * _AT_ONCE):
        part = np.fromfile(path, dtype="<f4", count=min(_AT_ONCE, (size - first) // 4), offset=first)
        if not np.isfinite(part).all():
            raise complain(path, "a weight is not finite")


def _header(path: Path, size: int) -> tuple[int, dict[str, Any]]:
    """Where the data begin, and the entry of each tensor."""
    with path.open("rb") as file:
        head = file.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        if not 2 <= length <= min(MAX_HEADER, size - 8):
            raise complain(path, "not a safetensors file, or cut off")
        text = file.read(length)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise complain(path, "not a safetensors file (its header is no JSON)") from error
    if not isinstance(found, dict):
        raise complain(path, "not a safetensors file (its header is no object)")
    found.pop("__metadata__", None)
    if not all(isinstance(entry, dict) for entry in found.values()):
        raise complain(path, "not a safetensors file (its header is no table of tensors)")
    return 8 + length, found


def _check_places(path: Path, header: dict[str, Any], size: int) -> None:
    """Each tensor has the bytes of its shape, they follow one another, and fill the file."""
    places, end = [], 0
    for name, entry in header.items():
        offsets = entry.get("data_offsets")
        if not (isinstance(offsets, list) and len(offsets) == 2 and all(isinstance(at, int) for at in offsets)):
            raise complain(path, f"{name} has no place in the file")
        places.append((offsets[0], offsets[1], 4 * math.prod(entry["shape"])))
    for first, last, length in sorted(places):
        if first != end or last - first != length:
            raise complain(path, "the tensors do not fill the file one after another")
        end = last
    if end != size:
        raise complain(path, "cut off, or longer than its tensors")
