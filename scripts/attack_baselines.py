"""Attacks on the saved files of baselines: numbers out of range, parts that disagree, foreign tensors."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from attack_values import VALUES
from datasets import Dataset
from safetensors import safe_open
from safetensors.numpy import save_file

from hf_ntg import FlowGenerator
from hf_ntg.flows import conform_flows
from hf_ntg.models.baselines import BASELINE_FILE, BASELINES, cvae, make_baseline

__all__ = ["baseline_attack", "save_baselines"]

_NUMBERS = (0, -1, 1, 2, 3, 127, 10**6, 2**31 - 1, 2**62, -(2**62), float("nan"), float("inf"), 1e30, 1e-300)
_WAYS = ("head", "head value", "number", "all numbers", "shorter", "longer", "gone", "type", "flat", "swapped", "order")


def save_baselines(flows: Dataset, folder: Path) -> list[Path]:
    """A model folder for each baseline, fitted to `flows`."""
    epochs, cvae._EPOCHS = cvae._EPOCHS, 1
    try:
        for name in (*BASELINES, "private-n-gram"):
            (folder / name).mkdir(parents=True)
            make_baseline(name).fit(flows, 5).save(folder / name / BASELINE_FILE)
    finally:
        cvae._EPOCHS = epochs
    return [folder / name for name in (*BASELINES, "private-n-gram")]


def baseline_attack(setting: Any, scratch: Path, turn: int, rng: random.Random) -> tuple[str, Callable[[], str]]:
    """Damage the file of a baseline, and draw from it."""
    source = setting.baselines[turn % len(setting.baselines)]
    with safe_open(source / BASELINE_FILE, "numpy") as file:
        head = json.loads(file.metadata()["hf_ntg"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    what = _damage(head, tensors, rng)
    folder = scratch / "model"
    folder.mkdir()
    text = json.dumps(head) if rng.random() < 0.97 else rng.choice(("", "[]", "null", "[" * 50_000, '{"kind": 1}'))
    save_file(tensors, folder / BASELINE_FILE, {"hf_ntg": text.encode("utf-8", "replace").decode()})

    def draws() -> str:
        flows = FlowGenerator.from_pretrained(folder).generate(50, seed=1)
        conform_flows(flows, "drawn")
        return "" if len(flows) == 50 else f"{len(flows)} flows of 50"

    return f"{source.name} {what}", draws


def _damage(head: dict[str, Any], tensors: dict[str, np.ndarray], rng: random.Random) -> str:
    way = rng.choice(_WAYS)
    name = rng.choice(sorted(tensors))
    values = tensors[name].copy()
    if way == "head":
        key = rng.choice(sorted(head))
        del head[key]
        return f"head without {key}"
    if way == "head value":
        key = rng.choice(sorted(head))
        head[key] = rng.choice((*VALUES, "replay", "cvae", "n-gram", "payload", ["a"], ["dns", "web"], 5, 4))
        return f"head {key} is {ascii(head[key])[:30]}"
    if way in ("number", "all numbers"):
        number = rng.choice(_NUMBERS)
        with np.errstate(all="ignore"):
            fitting = np.array(number).astype(values.dtype)
        values.flat[rng.randrange(values.size) if way == "number" else slice(None)] = fitting
        what = f"{way} {number}"
    elif way == "shorter":
        values, what = values[: rng.randrange(len(values))], way
    elif way == "longer":
        values, what = np.concatenate([values, values]), way
    elif way == "gone":
        del tensors[name]
        return f"without {name}"
    elif way == "type":
        kind = rng.choice(("f2", "f4", "f8", "i1", "i4", "i8", "?"))
        with np.errstate(all="ignore"):
            values, what = values.astype(kind), f"as {kind}"
    elif way == "flat":
        values, what = values.reshape(1, *values.shape), "with a dimension more"
    elif way == "swapped":
        other = rng.choice(sorted(tensors))
        values, what = tensors[other].copy(), f"is {other}"
    else:
        values, what = values[::-1].copy(), "back to front"
    tensors[name] = values
    return f"{name} {what}"
