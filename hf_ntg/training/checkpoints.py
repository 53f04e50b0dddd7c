"""Checkpoints of an unfinished run: each is a safetensors file, with all non-tensor values as JSON in its header.

No pickle is written or read. Random states are not saved: seed, epoch and process determine those of an epoch.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from hf_ntg.errors import InputError
from hf_ntg.files import replacing

__all__ = ["damaged", "is_checkpoint", "newest_checkpoint", "read_checkpoint", "write_checkpoint"]

_PREFIX, _SUFFIX = "epoch-", ".safetensors"
_KEY = "hf_ntg.state"
_TENSOR = "$tensor"


def write_checkpoint(folder: Path, epoch: int, state: dict[str, Any]) -> None:
    """Save `state` after `epoch` epochs as ``epoch-N.safetensors`` in `folder`, and remove older checkpoints.

    Args:
        state: nested dictionaries and lists of tensors and JSON values; keys are text or whole numbers.
    """
    tensors: dict[str, torch.Tensor] = {}
    plain = _without_tensors(state, "", tensors)
    path = folder / f"{_PREFIX}{epoch}{_SUFFIX}"
    with replacing(path) as scratch:
        save_file(tensors, scratch, metadata={_KEY: json.dumps(plain, allow_nan=False)})
    for older in _checkpoints(folder).values():
        if older != path:
            older.unlink()


def newest_checkpoint(folder: Path) -> int:
    """Number of finished epochs at the newest checkpoint in `folder`; 0 if there is none."""
    return max(_checkpoints(folder), default=0)


def read_checkpoint(folder: Path, epoch: int) -> dict[str, Any]:
    """Read what :func:`write_checkpoint` saved after `epoch` epochs; tensors are on the CPU.

    Raises:
        InputError: the file is damaged or not a checkpoint of hf_ntg.
    """
    path = folder / f"{_PREFIX}{epoch}{_SUFFIX}"
    try:
        with safe_open(path, framework="pt") as file:
            plain = json.loads((file.metadata() or {})[_KEY])
            return _with_tensors(plain, {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise damaged(path, error) from error


def is_checkpoint(path: Path) -> bool:
    """Whether `path` is a file named like a checkpoint."""
    number = path.name.removeprefix(_PREFIX).removesuffix(_SUFFIX)
    return path.name == f"{_PREFIX}{number}{_SUFFIX}" and number.isdecimal() and path.is_file()


def damaged(path: Path, error: Exception) -> InputError:
    """The error for a checkpoint at `path` that a run cannot continue from."""
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return InputError(f"{path}: the checkpoint is damaged ({reason}); start over with --no-resume")


def _checkpoints(folder: Path) -> dict[int, Path]:
    paths = filter(is_checkpoint, folder.glob(f"{_PREFIX}*{_SUFFIX}"))
    return {int(path.name[len(_PREFIX) : -len(_SUFFIX)]): path for path in paths}


def _without_tensors(value: Any, name: str, tensors: dict[str, torch.Tensor]) -> Any:
    """`value` with each tensor moved to `tensors` and replaced by its name there; keys that are numbers are marked."""
    if isinstance(value, torch.Tensor):
        tensors[name] = value.detach().to("cpu", copy=True).contiguous()  # a copy: tied weights share memory
        return {_TENSOR: name}
    if isinstance(value, dict):
        kind = "numbers" if all(isinstance(key, int) for key in value) else "names"
        return {kind: {str(key): _without_tensors(part, f"{name}/{key}", tensors) for key, part in value.items()}}
    if isinstance(value, list | tuple):
        return [_without_tensors(part, f"{name}/{place}", tensors) for place, part in enumerate(value)]
    return value


def _with_tensors(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """The inverse of :func:`_without_tensors`; tuples come back as lists."""
    if isinstance(value, list):
        return [_with_tensors(part, tensors) for part in value]
    if not isinstance(value, dict):
        return value
    if _TENSOR in value:
        return tensors[value[_TENSOR]]
    ((kind, parts),) = value.items()
    return {int(key) if kind == "numbers" else key: _with_tensors(part, tensors) for key, part in parts.items()}
