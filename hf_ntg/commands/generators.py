"""The commands `ntg train` and `ntg generate`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hf_ntg.commands.app import Seed, app, counted, number, public_command, say, show, stopping_says
from hf_ntg.commands.counting import count_privately, show_privacy
from hf_ntg.constants import PRIVATE_COUNTS
from hf_ntg.errors import InputError
from hf_ntg.models.scheduler_names import SCHEDULER_NAMES
from hf_ntg.output_places import check_output_file, check_output_folder
from hf_ntg.progress import Progress
from hf_ntg.ranges import DRAWING, PROCESSES, Range
from hf_ntg.training.config import CHOICES, MODEL_FAMILIES, RANGES, TrainingConfig

if TYPE_CHECKING:
    from hf_ntg.generation import FlowGenerator


def _recipe(name: str) -> str:
    """The value of a setting in the recipe of each family, for its help."""
    values = {family: getattr(TrainingConfig.recipe(family), name) for family in MODEL_FAMILIES}
    if set(values.values()) == {None}:
        return ""
    if len(set(values.values())) == 1:
        return f"Default {next(iter(values.values()))}."
    return f"Default: {', '.join(f'{family} {value}' for family, value in values.items())}."


def _setting(name: str, help: str) -> Any:
    return number(RANGES[name], f"{help} {_recipe(name)}")


def _choice(name: str, help: str) -> Any:
    return typer.Option(help=f"{help}: {', '.join(str(word) for word in CHOICES[name] if word)}. {_recipe(name)}")


@app.command()
def train(
    flows: Annotated[str, typer.Argument(help="Training flows: table, capture, 'loopback' or a data set on the Hub.")],
    output: Annotated[Path, typer.Option(help="Folder for the model.")],
    model: Annotated[
        str | None,
        typer.Option(
            help=f"Family: {', '.join(MODEL_FAMILIES)}; with --epsilon also {PRIVATE_COUNTS}, which counts. Default "
            "gpt2, or that of --initial-model."
        ),
    ] = None,
    initial_model: Annotated[
        str | None,
        typer.Option(help="Trained model to start from, whose view, packets and sizes stay."),
    ] = None,
    view: Annotated[str | None, _choice("view", "Packets that are learned")] = None,
    max_packets: Annotated[int | None, _setting("max_packets", "Packets of a flow that are learned.")] = None,
    times: Annotated[bool | None, typer.Option(help="Learn inter-arrival times, where there are any.")] = None,
    header: Annotated[bool | None, typer.Option(help="Learn protocol and port, where there are any.")] = None,
    width: Annotated[int | None, _setting("width", "Width of a causal model, a multiple of 8.")] = None,
    layers: Annotated[int | None, _setting("layers", "Layers of a causal model.")] = None,
    epochs: Annotated[int | None, _setting("epochs", "Passes over the flows.")] = None,
    max_steps: Annotated[int | None, _setting("max_steps", "Most optimizer steps, in whole passes.")] = None,
    batch_size: Annotated[int | None, _setting("batch_size", "Flows a step, over all processes.")] = None,
    learning_rate: Annotated[float | None, _setting("learning_rate", "Peak rate of AdamW.")] = None,
    weight_decay: Annotated[float | None, _setting("weight_decay", "Weight decay of matrices.")] = None,
    dropout: Annotated[float | None, _setting("dropout", "Dropout.")] = None,
    max_grad_norm: Annotated[float | None, _setting("max_grad_norm", "Gradients are clipped to this norm.")] = None,
    validation_share: Annotated[
        float | None, _setting("validation_share", "Share of the flows held back to validate.")
    ] = None,
    keep: Annotated[str | None, _choice("keep", "Weights to save")] = None,
    checkpoint_every: Annotated[
        int | None, _setting("checkpoint_every", "Epochs between checkpoints; 0 writes none.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Continue an unfinished run of the same command.")
    ] = True,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the model of another run.")] = False,
    mixed_precision: Annotated[str | None, _choice("mixed_precision", "Precision")] = None,
    tracker: Annotated[str | None, _choice("tracker", "Also log to the folder's runs/")] = None,
    epsilon: Annotated[
        float | None, number(RANGES["epsilon"], "Guarantee differential privacy: smaller is stronger.")
    ] = None,
    delta: Annotated[
        float | None, number(RANGES["delta"], "The guarantee's delta. Default: 0.1 / units, at most 1e-5.")
    ] = None,
    privacy_unit: Annotated[str | None, _choice("privacy_unit", "What the guarantee is for: one")] = None,
    seed: Seed = 0,
) -> None:
    """Train a generator. Options that are not given take the values of the family's recipe.

    The same command continues an interrupted run, and does not repeat a finished one.

    Example: ntg train flows/train.parquet --model mamba --output model/

    With --epsilon, the model is differentially private. Counting (--model private-n-gram) gives better flows then.

    Several processes: accelerate launch -m hf_ntg.train flows/train.parquet --model mamba --output model/
    """
    given = {
        name: value for name, value in locals().items() if name in TrainingConfig.field_names() and value is not None
    }
    if model == PRIVATE_COUNTS:
        count_privately(flows, output, given)
        return
    config = TrainingConfig.recipe(**given, output_dir=str(output))
    check_output_folder(output)
    if epsilon is not None:
        say(f"--model {PRIVATE_COUNTS} gave more useful flows wherever both were measured (README, privacy)")
    from hf_ntg.flows import load_flows
    from hf_ntg.training import train as run

    result = run(load_flows(flows), config)
    if result.privacy is not None:
        show_privacy(output, config.model, result.privacy)
    elif result.is_main:
        last = result.history[-1]
        said = ", ".join(_in_words(last))
        facts = {"path": str(output), "model": config.model, "trained": result.trained, **last}
        show(
            f"{output}: {config.model}, {said}, processes {result.num_processes}",
            **facts,
            processes=result.num_processes,
        )


def _in_words(record: dict[str, float]) -> Iterator[str]:
    """The record of an epoch, for people; ``memory_used`` steers the learning rate and is left out."""
    for name, value in record.items():
        if name == "memory_excess":
            yield f"copies above real: {round(100 * value, 1) + 0.0:.1f} points"
        elif name != "memory_used":
            yield f"{name.replace('_', ' ')} {value:.4g}"


@app.command()
def generate(
    model: Annotated[str, typer.Argument(help="Model folder, Hub id, or 'loopback' (bundled).")],
    output: Annotated[Path, typer.Option(help="New flows: .parquet, .jsonl, .csv, .pcap, .pcapng, or a folder.")],
    num_flows: Annotated[int | None, number(Range(0, 10**12, whole=True), "How many flows.")] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="Of this class; repeat it for several in equal numbers. Default: the training flows' mix."),
    ] = None,
    mix: Annotated[list[str] | None, typer.Option(help="Weights of classes, such as https=3,dns=1.")] = None,
    like: Annotated[str | None, typer.Option(help="As many flows of each class as this flow table has.")] = None,
    temperature: Annotated[
        float | None, number(DRAWING["temperature"], "Below 1 favours likely flows; causal models.")
    ] = None,
    times: Annotated[
        bool, typer.Option("--times/--no-times", help="With or without inter-arrival times; causal models.")
    ] = True,
    steps: Annotated[
        int | None,
        number(DRAWING["num_inference_steps"], "Denoising steps; diffusion models. Default: the model's own."),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(help=f"Scheduler of a diffusion model: {', '.join(SCHEDULER_NAMES)}. Default: the model's own."),
    ] = None,
    device: Annotated[str, typer.Option(help="Device to generate on: 'cpu', 'cuda', …")] = "cpu",
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of a model on the Hub.")] = None,
    num_proc: Annotated[int, number(PROCESSES, "Processes; the flows do not depend on it.")] = 1,
    num_shards: Annotated[
        int | None, number(Range(1, 100_000, whole=True), "Write a folder with this many Parquet files.")
    ] = None,
    shard: Annotated[str | None, typer.Option(help="Of these files, those of process i of n: 'i/n', from 0.")] = None,
    seed: Seed = 0,
) -> None:
    """Make new labelled flows with a trained model.

    Example: ntg generate model/ --num-flows 10000 --output synthetic.parquet

    Many flows, by several processes or machines; a killed process can be started again:
    torchrun --nproc_per_node 4 -m hf_ntg.cli generate model/ --num-flows 10000000 --num-shards 64 --output flows/
    """
    from hf_ntg.flows.capture_out.write_pcap import CAPTURE_FORMATS, write_pcap
    from hf_ntg.flows.class_mix import counts_like, counts_of_mix, parse_mix
    from hf_ntg.flows.disk_space import with_space_checked
    from hf_ntg.flows.provenance import with_command
    from hf_ntg.flows.save import TABLE_SUFFIXES, save_flows
    from hf_ntg.model_files import check_model_folder, model_folder

    if num_shards is None and output.suffix not in (*TABLE_SUFFIXES, *CAPTURE_FORMATS):
        known = ", ".join((*TABLE_SUFFIXES, *CAPTURE_FORMATS))
        raise InputError(f"{output}: no such format; name the file with one of {known}")
    if like is not None and (num_flows is not None or label or mix):
        raise InputError("--like says how many flows of which class; leave out --num-flows, --label and --mix")
    if label and mix:
        raise InputError("--label and --mix both choose classes; give one of them")
    weights = parse_mix(mix) if mix else dict.fromkeys(label or (), 1.0)
    if weights and num_flows is None:
        raise InputError("say how many flows: --num-flows")
    if scheduler is not None and scheduler not in SCHEDULER_NAMES:
        raise InputError(f"scheduler {scheduler!r}: choose one of {', '.join(SCHEDULER_NAMES)}")
    (check_output_file if num_shards is None else check_output_folder)(output)
    folder = model_folder(model, revision=revision)
    check_model_folder(folder)
    wanted: Any = counts_like(like) if like is not None else None
    if weights and num_flows is not None:
        wanted = counts_of_mix(num_flows, weights)
    # Check the arguments first, because importing torch and transformers is slow.
    from hf_ntg.generation import FlowGenerator

    generator = FlowGenerator.from_pretrained(folder, device=device)
    options: dict[str, Any] = {"temperature": temperature, "num_inference_steps": steps, "scheduler": scheduler}
    options = {name: value for name, value in options.items() if value is not None} | (
        {} if times else {"times": False}
    )
    if num_shards is not None:
        _write_shards(generator, output, num_shards, shard, num_flows, wanted, seed, options)
        return
    flows = generator.stream(num_flows, wanted, seed, num_proc=num_proc, **options)
    total = sum(wanted.values()) if isinstance(wanted, dict) else num_flows
    with stopping_says("nothing was written; give the same command to start again"):
        if output.suffix in TABLE_SUFFIXES:
            marked = (with_command(part, public_command()) for part in flows)
            save_flows(with_space_checked(counted(marked, total), output, total), output)
            show(f"{output}: {total} flows", path=str(output), flows=total)
        else:
            report = write_pcap(with_space_checked(counted(flows, total), output, total), output, seed)
            show(f"{output}: {report}", path=str(output), flows=total, report=str(report))


def _write_shards(
    generator: FlowGenerator,
    output: Path,
    num_shards: int,
    shard: str | None,
    num_flows: int | None,
    wanted: str | Mapping[str, int] | None,
    seed: int,
    options: dict[str, Any],
) -> None:
    """Write this process's share of a folder of Parquet files, with progress."""
    from hf_ntg.generation.shards import write_shards
    from hf_ntg.launch import launched_share, parse_share

    part = launched_share() if shard is None else parse_share(shard)
    with Progress("generating", None) as bar:
        options |= {"share": part, "on_progress": bar.update, "command": public_command()}
        files = write_shards(generator, output, num_shards, num_flows, wanted, seed, **options)
    line = f"{output}: {len(files)} files of process {part[0]} of {part[1]}"
    show(line, path=str(output), files=[file.name for file in files], process=part[0], processes=part[1])
