"""Where judged flows come from: which model made them, and how and when it was trained."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hf_ntg.constants import RUN_FILE
from hf_ntg.json_files import read_object_or_empty

__all__ = ["describe_model", "origin_in_words", "today"]


def describe_model(folder: str | Path) -> dict[str, Any]:
    """What the files of a model's `folder` say of it, for the key ``model`` of an evaluation's result.

    Returns:
        ``name`` of the folder, and, where they are known, ``family``, ``flows``, ``classes``, ``epochs``, ``steps`` and
        ``device`` of the training, ``initial_model`` that it started from, ``hf_ntg`` and ``trained``, the date.
    """
    folder = Path(folder)
    run, config = read_object_or_empty(folder / RUN_FILE), read_object_or_empty(folder / "training_config.json")
    found: dict[str, Any] = {
        name: run[name] for name in ("flows", "classes", "epochs", "steps", "device") if name in run
    }
    found |= {"family": config["model"]} if "model" in config else {}
    found |= {"hf_ntg": run["environment"]["hf_ntg"]} if "environment" in run else {}
    if base := (run.get("identity") or {}).get("initial_model"):
        found["initial_model"] = base
    if run and folder.parent.name != "snapshots":  # in the Hub's cache, the date is that of the download
        seconds = (folder / RUN_FILE).stat().st_mtime
        found["trained"] = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
    return {"name": folder.resolve().name, **found}


def today() -> str:
    """The date, UTC, for the key ``judged`` of an evaluation's result."""
    return datetime.now(UTC).strftime("%Y-%m-%d")


def origin_in_words(result: dict) -> list[tuple[str, str]]:
    """What made the synthetic flows of an evaluation, as pairs of a heading and a text."""
    found = []
    model = result.get("model") or {}
    if model:
        found.append(("Model", f"{model['name']} ({model['family']})" if "family" in model else model["name"]))
    elif result.get("made_by"):
        found.append(("Model", ", ".join(_mark_in_words(mark) for mark in result["made_by"])))
    else:
        found.append(("Model", "not known: the synthetic flows carry no mark of what made them"))
    if "epochs" in model:
        base = f", started from {model['initial_model']}" if "initial_model" in model else ""
        text = f"{model['epochs']} epochs ({model['steps']:,} steps) on {model['flows']:,} flows of "
        found.append(("Training", text + f"{model['classes']} classes, on {model['device']}{base}"))
    dates = [f"trained {model['trained']}"] if "trained" in model else []
    dates += [f"judged {result['judged']}"] if "judged" in result else []
    if dates:
        found.append(("When", ", ".join(dates)))
    seeds = sorted({mark["seed"] for mark in result.get("made_by", [])})
    draw = f"seed {', '.join(map(str, seeds))}; " if seeds else ""
    found.append(("Draw", f"{draw}{result['sets']['synthetic']['flows']:,} flows"))
    commands = sorted({mark["command"] for mark in result.get("made_by", [])} - {""})
    return found + [("Command", command) for command in commands]


def _mark_in_words(mark: dict) -> str:
    weights = f" (weights {mark['revision'][:19]})" if mark["revision"] else ""
    return f"{mark['model']}{weights}, hf_ntg {mark['hf_ntg']}"
