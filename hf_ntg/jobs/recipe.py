"""A published model's recipe: the file that says how it is made, and the run that makes it, step by step.

A recipe is a TOML file in a folder named as the model. It names a data file beside it (where the flows come from, how
they are read, which classes are taken, how they are split) and the training settings. A run leaves every step's result
in its folder and does not do a finished step again.
"""

from __future__ import annotations

import json
import os
import shlex
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hf_ntg.errors import InputError
from hf_ntg.files import write_text
from hf_ntg.hub.training_data import TrainingData
from hf_ntg.jobs.class_choice import ClassChoice, choose_classes

__all__ = ["Recipe", "run_recipe"]

_SECTIONS = ("about", "reading", "classes", "split", "training")


@dataclass(frozen=True)
class Recipe:
    """How a model is made.

    Attributes:
        name: of the model. about: name, url, licence, citation, hub_id, notes, as :class:`TrainingData` has them, and
            `model_license`, the licence of the weights.
        reading: settings of :class:`hf_ntg.flows.ReadingOptions`; empty where the source is a flow table.
        classes: settings of :class:`ClassChoice`. split: ``by``, ``test_size``, ``seed``.
        training: settings of :class:`hf_ntg.TrainingConfig` that differ from the family's own recipe.
        changed: settings that this run gave others than the file, as ``section.name=value``.
    """

    name: str
    about: dict[str, Any]
    reading: dict[str, Any] = field(default_factory=dict)
    classes: dict[str, Any] = field(default_factory=dict)
    split: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)

    @classmethod
    def load(cls, path: str | Path, changes: Mapping[str, Any] | None = None) -> Recipe:
        """Read a recipe file and the data file it names.

        Args:
            changes: other values for this run, by ``section.name``.

        Raises:
            InputError: a file is missing or not TOML, or a change names no section.
        """
        path = Path(path)
        own = _read_toml(path)
        if "data" not in own:
            raise InputError(f'{path}: names no data file; give data = "../data/NAME.toml"')
        merged = _read_toml(path.parent / own.pop("data")) | own
        unknown = sorted(set(merged) - set(_SECTIONS))
        if unknown:
            raise InputError(f"{path}: no section of a recipe is called {', '.join(unknown)}")
        for key, value in (changes or {}).items():
            section, _, name = key.partition(".")
            if section not in _SECTIONS[1:] or not name:
                raise InputError(f"{key}: give SECTION.NAME with one of {', '.join(_SECTIONS[1:])}")
            merged[section] = merged.get(section, {}) | {name: value}
        changed = [f"{key}={json.dumps(value)}" for key, value in (changes or {}).items()]
        return cls(name=path.parent.name, changed=changed, **merged)

    def describe(self, choice: str) -> TrainingData:
        """The recipe's data as the card names them; `choice` says which classes were taken."""
        words = ["python", "scripts/run_recipe.py", f"model_cards/{self.name}/recipe.toml"]
        words += ["--output", f"runs/{self.name}", *(["--source", "YOUR_COPY"] if self.about.get("url") else [])]
        words += ["--set", *self.changed] if self.changed else []
        about = {name: value for name, value in self.about.items() if name != "model_license"}
        by = {"capture": "whole captures, so that no capture has flows on both sides", "random": "flows by lot"}
        share = self.split.get("test_size", 0.2)
        split = f"{share:.0%} of each class held out to test, {by[self.split.get('by', 'random')]}"
        return TrainingData(
            **about,
            classes=choice,
            split=f"{split}; seed {self.split.get('seed', 0)}",
            commands=[shlex.join(words)],
            complete=not self.changed,
        )


def run_recipe(
    recipe: Recipe, output: str | Path, source: str | Path | None = None, *, say: Callable[[str], None] = print
) -> Path:
    """Make a recipe's model from end to end: import, split, train, generate, evaluate, card.

    Leaves ``flows.parquet``, ``flows/{train,test}.parquet``, ``model/`` (weights, codec, facts and card: the folder
    that ``ntg publish`` takes), ``synthetic.parquet`` and ``report.{html,md,json}`` in `output`. Killed and run again,
    it goes on from the last finished step, and in training from the newest checkpoint.

    Args:
        source: the user's copy of the data: a file, a folder, or a flow table; the bundled set when None.
        say: told of every step.

    Returns:
        The model's folder.

    Raises:
        InputError: the source cannot be read, `output` holds a run of another recipe, or the flows do not fit.
    """
    from hf_ntg.flows import load_flows, save_flows, split_flows
    from hf_ntg.generation import FlowGenerator
    from hf_ntg.hub.model_card import write_model_card
    from hf_ntg.metrics import evaluate_flows
    from hf_ntg.report import write_report
    from hf_ntg.training import TrainingConfig, train
    from hf_ntg.training.run_record import RUN_FILE

    output = Path(output)
    _same_run(recipe, output / "recipe.json")
    table, model = output / "flows.parquet", output / "model"
    choice = ClassChoice(**recipe.classes)
    if not table.exists():
        say(f"reading {source or 'the bundled flows'}")
        choose_classes(_imported(source, recipe, output), table, choice)
    parts = {name: output / "flows" / f"{name}.parquet" for name in ("train", "test")}
    if not all(path.exists() for path in parts.values()):
        say("splitting")
        for name, part in split_flows(load_flows(table), **recipe.split).items():
            save_flows(part, parts[name])
    flows = {name: load_flows(path) for name, path in parts.items()}
    if not (model / RUN_FILE).exists():
        say(f"training on {len(flows['train']):,} flows")
        train(flows["train"], TrainingConfig.recipe(**recipe.training, resume=True, output_dir=str(model)))
    config = TrainingConfig.load(model)
    if not (output / "synthetic.parquet").exists():
        say("generating as many flows of each class")
        made = FlowGenerator.from_pretrained(model).stream(label=Counter(flows["train"]["label"]), seed=config.seed)
        save_flows(made, output / "synthetic.parquet")
    if not (output / "report.json").exists():
        say("judging them")
        synthetic = load_flows(output / "synthetic.parquet")
        result = evaluate_flows(**flows, synthetic=synthetic, max_packets=config.max_packets, seed=config.seed)
        write_report(result, output)
    say("writing the card")
    recipe.describe(choice.rule(flows["train"])).save(model)
    license = recipe.about.get("model_license", "other")
    write_model_card(model, f"ORGANISATION/{recipe.name}", license=license, report=output / "report.json")
    return model


def _imported(source: str | Path | None, recipe: Recipe, output: Path) -> Path:
    """`source` as a flow table on the disk."""
    from hf_ntg.flows import LabelRules, ReadingOptions, import_flows, load_flows, save_flows

    if source is None and recipe.reading:
        raise InputError(f"{recipe.name}: starts from your copy of {recipe.about['name']}; give --source")
    if source is None:
        return save_flows(load_flows(), output / "imported.parquet")
    if Path(source).suffix == ".parquet":
        return save_flows(load_flows(source), output / "imported.parquet")
    reading = dict(recipe.reading)
    labels = LabelRules(**reading.pop("labels", {}))
    target = output / "imported.parquet"
    options = ReadingOptions(labels=labels, **reading)
    report = import_flows([source], target, options, num_proc=min(4, os.cpu_count() or 1))
    if report.broken:
        raise InputError(f"{report.broken[0].error}; mend or remove the file")
    return target


def _same_run(recipe: Recipe, path: Path) -> None:
    """Keep what `recipe` says beside the run's results; refuse to go on with those of another."""
    told = json.dumps(asdict(recipe), ensure_ascii=False, indent=2) + "\n"
    if path.exists() and path.read_text(encoding="utf-8") != told:
        raise InputError(f"{path.parent}: holds a run of another recipe or with other settings; name another folder")
    write_text(path, told)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a TOML file ({error})") from error
