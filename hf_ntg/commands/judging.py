"""The commands that evaluate flows: `ntg quickstart`, `ntg evaluate` and `ntg study`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hf_ntg.commands.app import Seed, app, number, say, show, show_table, stopping_says
from hf_ntg.errors import InputError
from hf_ntg.output_places import check_output_folder
from hf_ntg.ranges import COUNTS
from hf_ntg.training.config import RANGES

if TYPE_CHECKING:
    from hf_ntg.generation import FlowGenerator


@app.command()
def quickstart(
    output: Annotated[Path, typer.Option(help="Folder for flows, model, synthetic flows and report.")] = Path(
        "quickstart"
    ),
    flows: Annotated[str, typer.Option(help="Flows to start from; 'loopback' is the bundled set.")] = "loopback",
    epochs: Annotated[int | None, number(RANGES["epochs"], "Passes over the training flows.")] = None,
    seed: Seed = 0,
) -> None:
    """Train on the bundled flows, generate new ones, evaluate them, and write report.html.

    Example: ntg quickstart --output quickstart
    """
    check_output_folder(output)
    from hf_ntg.jobs import Recipe, run_recipe
    from hf_ntg.report import headline

    own = None if flows == "loopback" else flows
    recipe = Recipe.quickstart(None if own is None else Path(own).name, epochs, seed)
    with stopping_says("finished steps are kept; the same command continues"):
        run = run_recipe(recipe, output, own, say=say)
        say(headline(run.result()))
    show(f"{run.model}: the model and its card", model=str(run.model))
    line = f"{run.synthetic}: new flows, as many of each class as the model was trained on"
    show(line, synthetic=str(run.synthetic))
    show(f"{run.report()}: their evaluation", report=str(run.report()))


@app.command()
def evaluate(
    train: Annotated[str, typer.Option(help="Real flows that the generator was trained on.")],
    test: Annotated[str, typer.Option(help="Real flows that it has not seen.")],
    synthetic: Annotated[str, typer.Option(help="Flows that it generated.")],
    output: Annotated[Path, typer.Option(help="Folder for report.html, report.md and report.json.")],
    held_back: Annotated[
        str | None,
        typer.Option(help="Real flows of the training captures that the generator has not seen: to measure memory by."),
    ] = None,
    max_packets: Annotated[
        int | None, number(COUNTS, "Number of packets of a flow to evaluate; 10, or as many as the model makes.")
    ] = None,
    view: Annotated[
        str | None, typer.Option(help="Packet view, 'payload' or 'all'; that of the synthetic flows if not given.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The causal model that made them: adds membership inference by likelihood.")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Evaluate synthetic flows next to real flows and baselines.

    Example: ntg evaluate --train train.parquet --test test.parquet --synthetic synthetic.parquet --output report/
    """
    from hf_ntg.flows import load_flows
    from hf_ntg.metrics import evaluate_flows
    from hf_ntg.metrics.judged_sets import DEFAULT_PACKETS
    from hf_ntg.model_files import model_folder
    from hf_ntg.report import headline, headline_table, write_report
    from hf_ntg.report.origin import describe_model, today

    check_output_folder(output)
    sources = {"train": train, "test": test, "synthetic": synthetic}
    sources |= {} if held_back is None else {"held_back": held_back}
    tables = {name: load_flows(source) for name, source in sources.items()}
    likelihood = None
    if model is not None:
        generator = _with_likelihood(model)
        likelihood, view = generator.log_likelihood, view or generator.view
        if view != generator.view:
            raise InputError(f"--view {view}: {model} makes flows of the packet view '{generator.view}'")
        if max_packets is None:
            max_packets = min(DEFAULT_PACKETS, generator.max_packets)
    result = evaluate_flows(**tables, max_packets=max_packets, view=view, seed=seed, log_likelihood=likelihood)
    about: dict = {"inputs": sources, "judged": today()}
    if model is not None:
        about["model"] = describe_model(model_folder(model))
    paths = write_report(result | about, output)
    show_table(headline_table(result), [{"text": headline(result)}])
    show(str(paths["html"]), **{name: str(path) for name, path in paths.items()})


def _with_likelihood(model: str) -> FlowGenerator:
    from hf_ntg.generation import FlowGenerator

    generator = FlowGenerator.from_pretrained(model)
    if not generator.has_likelihood:
        raise InputError(f"{model}: gives flows no likelihood (a diffusion model); leave --model out")
    return generator


@app.command()
def study(
    flows: Annotated[list[str], typer.Argument(help="Flow tables, captures, 'loopback' or data sets on the Hub.")],
    output: Annotated[Path, typer.Option(help="Folder for results, models, tables and report.")],
    quick: Annotated[
        bool, typer.Option("--quick", help="Less of everything, training too; minutes on the bundled flows.")
    ] = False,
    models: Annotated[str | None, typer.Option(help="Generators, by commas: families and baselines.")] = None,
    by: Annotated[str | None, typer.Option(help="Splits, by commas: random, capture.")] = None,
    axes: Annotated[str | None, typer.Option(help="Questions, by commas; all if not given.")] = None,
    seeds: Annotated[str | None, typer.Option(help="How many seeds, or which, by commas: '3' is '0,1,2'.")] = None,
    times: Annotated[str | None, typer.Option(help="Synthetic flows for each training flow, by commas.")] = None,
    classifiers: Annotated[str | None, typer.Option(help="Classifiers of synthetic flows alone, by commas.")] = None,
    shots: Annotated[str | None, typer.Option(help="Few labels: real flows a class, by commas.")] = None,
    shot_methods: Annotated[str | None, typer.Option(help="Few labels: transformations, by commas.")] = None,
    shot_models: Annotated[str | None, typer.Option(help="Few labels: generators, by commas.")] = None,
    shot_classifiers: Annotated[str | None, typer.Option(help="Few labels: classifiers, by commas.")] = None,
    budget_models: Annotated[str | None, typer.Option(help="Training length: families, by commas.")] = None,
    privacy_models: Annotated[
        str | None, typer.Option(help="Privacy: private-n-gram, gpt2, gpt2-from-public, 4-gram and others, by commas.")
    ] = None,
    epsilons: Annotated[str | None, typer.Option(help="Privacy: guarantees, by commas; 'none' is without.")] = None,
    view: Annotated[str | None, typer.Option(help="Packet view: 'payload' (packets with data) or 'all'.")] = None,
    shard: Annotated[str | None, typer.Option(help="'i/n': the part of process i of n, from 0.")] = None,
    redo_stale: Annotated[bool, typer.Option("--redo-stale", help="Repeat the runs that other code made.")] = False,
    only_report: Annotated[
        bool, typer.Option("--only-report", help="Write the report of the finished runs; run nothing.")
    ] = False,
) -> None:
    """Compare generators over flow tables, splits and seeds. A stopped study continues where it was.

    Example: ntg study loopback --quick --output study/

    Axes: efficiency, fidelity, synthetic-only, augmentation, training-length, sampling, privacy.
    """
    from hf_ntg.commands.study_options import study_command

    check_output_folder(output)
    choices = {"models": models, "by": by, "seeds": seeds, "view": view, "times": times, "classifiers": classifiers}
    choices |= {"shots": shots, "shot_methods": shot_methods, "shot_models": shot_models}
    choices |= {"shot_classifiers": shot_classifiers, "budget_models": budget_models}
    choices |= {"privacy_models": privacy_models, "epsilons": epsilons}
    with stopping_says("finished runs are kept; the same command continues"):
        failed, overview = study_command(
            flows, output, quick, choices, axes, shard, redo_stale=redo_stale, only_report=only_report, say=say
        )
    for table in overview:
        show_table(table)
    show(str(output / "report.html"), html=str(output / "report.html"), failed=len(failed))
    if failed:
        say(f"ntg: {len(failed)} runs failed, see above")
        raise typer.Exit(1)
