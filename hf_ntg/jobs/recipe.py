"""Recipe: a TOML file that defines how a model is made from its data.

It has the sections ``about`` (what the data are), ``reading`` (how they are imported), ``classes`` (which classes are
taken), ``split`` and ``training``. The recipes of published models share the sections of their data:
``data = "../data/NAME.toml"`` names a second file that holds them.
"""

from __future__ import annotations

import json
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from hf_ntg.errors import InputError
from hf_ntg.hub.training_data import TrainingData

__all__ = ["QUICKSTART", "Recipe"]

QUICKSTART = "quickstart"
_SECTIONS = ("about", "reading", "classes", "split", "training")


@dataclass(frozen=True)
class Recipe:
    """How a model is made.

    Attributes:
        name: name of the model.
        command: command line that runs the recipe with its changes.
        about: name, url, licence, citation, hub_id and notes of the data, as in :class:`TrainingData`, and
            `model_license`, the licence of the weights.
        reading: settings of :class:`hf_ntg.flows.ReadingOptions`; empty where the source is a flow table.
        classes: settings of :class:`~hf_ntg.jobs.class_choice.ClassChoice`. split: ``by``, ``test_size``, ``seed``.
        training: settings of :class:`hf_ntg.TrainingConfig` that differ from the family's own recipe.
        changed: settings that differ from the file in this run, as ``section.name=value``.
    """

    name: str
    command: tuple[str, ...]
    about: dict[str, Any]
    reading: dict[str, Any] = field(default_factory=dict)
    classes: dict[str, Any] = field(default_factory=dict)
    split: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    changed: tuple[str, ...] = ()

    @classmethod
    def load(cls, path: str | Path, changes: Mapping[str, Any] | None = None) -> Recipe:
        """Read a recipe file, and the data file that it names.

        Args:
            changes: other values for this run, by ``section.name``.

        Raises:
            InputError: a file is missing or not TOML, or a section does not exist.
        """
        path = Path(path)
        sections = _read_toml(path)
        if "data" not in sections and "about" not in sections:
            raise InputError(f'{path}: names no data file; give data = "../data/NAME.toml"')
        if "data" in sections:
            sections = _read_toml(path.parent / sections.pop("data")) | sections
        name = path.parent.name
        command: tuple[str, ...] = (
            "python",
            "scripts/run_recipe.py",
            f"model_cards/{name}/recipe.toml",
            "--output",
            f"runs/{name}",
        )
        if sections.get("about", {}).get("url"):
            command += ("--source", "YOUR_COPY")
        if changes:
            command += ("--set", *_changed(changes))
        return cls._of(str(path), name, command, sections, changes)

    @classmethod
    def quickstart(cls, flows: str | None = None, epochs: int | None = None, seed: int = 0) -> Recipe:
        """The recipe that ``ntg quickstart`` runs; it is part of the package.

        Args:
            flows: name of the user's flows, where they take the place of the bundled ones.
            epochs: passes over the training flows, in place of the recipe's number of steps.
            seed: of the split and the training.
        """
        with resources.as_file(resources.files("hf_ntg.jobs") / "recipes" / f"{QUICKSTART}.toml") as path:
            sections = _read_toml(path)
        changes: dict[str, Any] = {}
        command: tuple[str, ...] = ("ntg", "quickstart")
        if flows is not None:
            sections["about"] = {"name": flows}
            command += ("--flows", flows)
        if epochs is not None:
            changes |= {"training.epochs": epochs, "training.max_steps": None}
            command += ("--epochs", str(epochs))
        if seed:
            sections["split"]["seed"] = sections["training"]["seed"] = seed
            command += ("--seed", str(seed))
        return cls._of(path.name, QUICKSTART, command, sections, changes)

    @classmethod
    def _of(
        cls, path: str, name: str, command: tuple[str, ...], sections: dict, changes: Mapping[str, Any] | None
    ) -> Recipe:
        unknown = sorted(set(sections) - set(_SECTIONS))
        if unknown:
            raise InputError(f"{path}: no section of a recipe is called {', '.join(unknown)}")
        for key, value in (changes or {}).items():
            section, _, setting = key.partition(".")
            if section not in _SECTIONS[1:] or not setting:
                raise InputError(f"{key}: give SECTION.NAME with one of {', '.join(_SECTIONS[1:])}")
            sections[section] = sections.get(section, {}) | {setting: value}
        return cls(name=name, command=command, changed=_changed(changes or {}), **sections)

    def describe(self, choice: str) -> TrainingData:
        """Describe the data for the model card; `choice` says in words which classes were taken."""
        about = {name: value for name, value in self.about.items() if name != "model_license"}
        by = {"capture": "whole captures, so that no capture has flows on both sides", "random": "flows at random"}
        share = self.split.get("test_size", 0.2)
        split = f"{share:.0%} of each class held out to test, {by[self.split.get('by', 'random')]}"
        return TrainingData(
            **about,
            classes=choice,
            split=f"{split}; seed {self.split.get('seed', 0)}",
            commands=[shlex.join(self.command)],
            complete=not self.changed,
        )


def _changed(changes: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(f"{key}={json.dumps(value)}" for key, value in changes.items())


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a TOML file ({error})") from error
