"""What a training run was: the facts that a card tells and that nothing else in a model's folder holds."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from pathlib import Path

from accelerate import Accelerator
from datasets import Dataset

import hf_ntg
from hf_ntg.files import write_text

__all__ = ["RUN_FILE", "record_run"]

RUN_FILE = "training_run.json"
_LIBRARIES = ("torch", "transformers", "diffusers", "datasets", "accelerate")


def record_run(folder: Path, flows: Dataset, epochs: int, steps: int, accelerator: Accelerator) -> None:
    """Write ``training_run.json`` into `folder`: how much was learned from, how long, and in which environment.

    Args:
        flows: the training flows. epochs, steps: passes over them and optimizer steps in all.
    """
    environment = {"hf_ntg": hf_ntg.__version__, "python": platform.python_version()}
    environment |= {name: version(name) for name in _LIBRARIES}
    record = {
        "flows": len(flows),
        "classes": len(set(flows["label"])),
        "epochs": epochs,
        "steps": steps,
        "device": accelerator.device.type,
        "processes": accelerator.num_processes,
        "environment": environment,
    }
    write_text(folder / RUN_FILE, json.dumps(record, indent=2) + "\n")
