"""The record of a finished training run: facts for the model card, and the identity of the run."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from accelerate import Accelerator

import hf_ntg
from hf_ntg.constants import RUN_FILE
from hf_ntg.files import write_text
from hf_ntg.flows.arrays import FlowArrays

__all__ = ["record_private_run", "record_run"]

_LIBRARIES = ("torch", "transformers", "diffusers", "datasets", "accelerate")


def record_run(
    folder: Path,
    flows: FlowArrays,
    epochs: int,
    steps: int,
    accelerator: Accelerator,
    identity: dict[str, Any],
    history: list[dict[str, float]],
) -> None:
    """Write ``training_run.json`` into `folder`: training data, length, losses and environment of the run.

    Args:
        flows: the training flows. epochs, steps: passes over them, and total number of optimizer steps.
        identity: see :func:`hf_ntg.training.run_folder.run_identity`. history: the losses of every epoch.
    """
    record = {
        "flows": len(flows),
        "classes": len(set(flows.label)),
        "epochs": epochs,
        "steps": steps,
        "device": accelerator.device.type,
        "processes": accelerator.num_processes,
        "environment": _environment(),
        "identity": identity,
        "history": history,
    }
    write_text(folder / RUN_FILE, json.dumps(record, indent=2, allow_nan=False) + "\n")


def record_private_run(
    folder: Path, classes: int, privacy: dict[str, Any], accelerator: Accelerator, identity: dict[str, Any]
) -> None:
    """Write ``training_run.json`` of a private run: its guarantee, and no hash, count or loss of the flows.

    Args:
        classes: number of class names, public.
        privacy: the guarantee and how it was reached, from public numbers.
    """
    record = {
        "classes": classes,
        "steps": privacy["steps"],
        "device": accelerator.device.type,
        "processes": accelerator.num_processes,
        "environment": _environment(),
        "identity": identity,
        "privacy": privacy,
    }
    write_text(folder / RUN_FILE, json.dumps(record, indent=2, allow_nan=False) + "\n")


def _environment() -> dict[str, str]:
    own = {"hf_ntg": hf_ntg.__version__, "python": platform.python_version()}
    return own | {name: version(name) for name in _LIBRARIES}
