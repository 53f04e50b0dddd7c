"""Run a recipe from end to end: import, split, train, generate, evaluate, write the card."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from datasets import Dataset

from hf_ntg.constants import RUN_FILE
from hf_ntg.errors import InputError
from hf_ntg.files import write_text
from hf_ntg.flows import LabelRules, ReadingOptions, import_flows, load_flows, save_flows, split_flows
from hf_ntg.jobs.class_choice import ClassChoice, choose_classes
from hf_ntg.jobs.recipe import Recipe

__all__ = ["RecipeRun", "run_recipe"]


@dataclass(frozen=True)
class RecipeRun:
    """The folder of a recipe's run, and the paths of its files.

    Attributes:
        folder: the folder.
    """

    folder: Path

    @property
    def table(self) -> Path:
        """All flows that the recipe takes, in one table."""
        return self.folder / "flows.parquet"

    @property
    def model(self) -> Path:
        """Folder of the trained model and its card, the input of ``ntg publish``."""
        return self.folder / "model"

    @property
    def synthetic(self) -> Path:
        """Synthetic flows, as many of each class as the model was trained on."""
        return self.folder / "synthetic.parquet"

    def part(self, name: str) -> Path:
        """The ``train`` or ``test`` flows."""
        return self.folder / "flows" / f"{name}.parquet"

    def report(self, suffix: str = "html") -> Path:
        """The evaluation report as ``html``, ``md`` or ``json``."""
        return self.folder / f"report.{suffix}"

    def result(self) -> dict:
        """The result of :func:`hf_ntg.evaluate_flows`."""
        return json.loads(self.report("json").read_text(encoding="utf-8"))


def run_recipe(
    recipe: Recipe, output: str | Path, source: str | Path | None = None, *, say: Callable[[str], None] = print
) -> RecipeRun:
    """Train a recipe's model and evaluate it, step by step.

    Every step leaves its result in `output`. A killed run continues after the last finished step, and training
    continues from the newest checkpoint.

    Args:
        source: the user's copy of the data: a file, a folder, or a flow table; the bundled flows when None.
        say: called with a line for every step.

    Raises:
        InputError: the source cannot be read, `output` holds a run of another recipe, or the flows do not fit.
    """
    run, begun = RecipeRun(Path(output)), time.perf_counter()

    def step(line: str) -> None:
        say(f"[{time.perf_counter() - begun:5.0f} s] {line}")

    _claim(recipe, source, run.folder / "recipe.json")
    if not run.table.exists():
        step(f"reading {source or 'the bundled flows'}")
        _collect(recipe, source, run)
    if not all(run.part(name).exists() for name in ("train", "test")):
        step(f"splitting by {recipe.split.get('by', 'random')}")
        for name, part in split_flows(load_flows(run.table), **recipe.split).items():
            save_flows(part, run.part(name))
    parts = {name: load_flows(run.part(name)) for name in ("train", "test")}
    _train(recipe, run, parts["train"], step)
    _generate(run, parts["train"], step)
    _judge(run, parts, step)
    _write_card(recipe, run, parts["train"], step)
    step("done")
    return run


def _collect(recipe: Recipe, source: str | Path | None, run: RecipeRun) -> None:
    """Import the source, and keep the classes that the recipe chooses."""
    if source is None and recipe.reading:
        raise InputError(f"{recipe.name}: starts from your copy of {recipe.about['name']}; give --source")
    imported = run.folder / "imported.parquet"
    if not recipe.reading or Path(str(source)).suffix == ".parquet":
        save_flows(load_flows() if source is None else load_flows(source), imported)
    else:
        reading = dict(recipe.reading)
        labels = LabelRules(**reading.pop("labels", {}))
        options = ReadingOptions(labels=labels, **reading)
        report = import_flows([str(source)], imported, options, num_proc=min(4, os.cpu_count() or 1))
        if report.broken:
            raise InputError(f"{report.broken[0].error}; mend or remove the file")
    choose_classes(imported, run.table, ClassChoice(**recipe.classes))
    imported.unlink()


def _train(recipe: Recipe, run: RecipeRun, flows: Dataset, step: Callable[[str], None]) -> None:
    from hf_ntg.training import TrainingConfig, train

    if (run.model / RUN_FILE).exists():
        return
    config = TrainingConfig.recipe(**recipe.training, resume=True, output_dir=str(run.model))
    step(f"training {config.model} on {len(flows):,} flows of {len(set(flows['label']))} classes")
    train(flows, config)


def _generate(run: RecipeRun, flows: Dataset, step: Callable[[str], None]) -> None:
    from hf_ntg.generation import FlowGenerator
    from hf_ntg.training import TrainingConfig

    if run.synthetic.exists():
        return
    step("generating as many flows of each class")
    seed = TrainingConfig.load(run.model).seed
    made = FlowGenerator.from_pretrained(run.model).stream(label=Counter(flows["label"]), seed=seed)
    save_flows(made, run.synthetic)


def _judge(run: RecipeRun, parts: dict[str, Dataset], step: Callable[[str], None]) -> None:
    from hf_ntg.metrics import evaluate_flows
    from hf_ntg.report import write_report
    from hf_ntg.report.origin import describe_model, today
    from hf_ntg.training import TrainingConfig

    if run.report("json").exists():
        return
    step("judging them next to real flows and baselines")
    config = TrainingConfig.load(run.model)
    synthetic = load_flows(run.synthetic)
    result = evaluate_flows(**parts, synthetic=synthetic, max_packets=config.max_packets, seed=config.seed)
    write_report(result | {"model": describe_model(run.model), "judged": today()}, run.folder)


def _write_card(recipe: Recipe, run: RecipeRun, flows: Dataset, step: Callable[[str], None]) -> None:
    from hf_ntg.hub.model_card import write_model_card

    step("writing the model card")
    rule = ClassChoice(**recipe.classes).rule(flows)
    recipe.describe(rule).save(run.model)
    license = recipe.about.get("model_license", "other")
    write_model_card(run.model, f"ORGANISATION/{recipe.name}", license=license, report=run.report("json"))


def _claim(recipe: Recipe, source: str | Path | None, path: Path) -> None:
    """Save the recipe and its source next to the results; refuse a folder with the results of another run."""
    held = asdict(recipe) | {"source": None if source is None else str(source)}
    text = json.dumps(held, ensure_ascii=False, indent=2) + "\n"
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise InputError(f"{path.parent}: holds a run of another recipe or with other settings; name another folder")
    write_text(path, text)
