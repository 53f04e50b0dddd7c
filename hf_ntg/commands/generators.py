"""Generators: `ntg train`, `ntg generate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hf_ntg.commands.app import Seed, app, counted, told_command
from hf_ntg.errors import InputError


@app.command()
def train(
    flows: Annotated[str, typer.Argument(help="Training flows: table, capture, 'loopback' or a data set on the Hub.")],
    output: Annotated[Path, typer.Option(help="Folder for the model.")],
    model: Annotated[str, typer.Option(help="'gpt2', 'llama', 'mamba' or 'unet'.")] = "gpt2",
    initial_model: Annotated[str | None, typer.Option(help="Trained model of the family to start from.")] = None,
    max_packets: Annotated[int | None, typer.Option(help="Packets of a flow that are learned.")] = None,
    times: Annotated[bool | None, typer.Option(help="Learn inter-arrival times, where there are any.")] = None,
    header: Annotated[bool | None, typer.Option(help="Learn protocol and port, where there are any.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the flows.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Flows a step, over all processes.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak rate of AdamW.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Weight decay of matrices.")] = None,
    dropout: Annotated[float | None, typer.Option(help="Dropout, where the family has it.")] = None,
    validation_share: Annotated[float | None, typer.Option(help="Share of the flows held back to validate.")] = None,
    keep: Annotated[str | None, typer.Option(help="'last' weights, or those 'best' in validation.")] = None,
    checkpoint_every: Annotated[int | None, typer.Option(help="Epochs between checkpoints; 0: none.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the newest checkpoint in the folder.")] = False,
    mixed_precision: Annotated[str | None, typer.Option(help="'no', 'bf16' or 'fp16'.")] = None,
    tracker: Annotated[str | None, typer.Option(help="'tensorboard' logs to the folder's runs/.")] = None,
    seed: Seed = 0,
) -> None:
    """Train a generator; what is not given is the family's measured recipe.

    Example: ntg train flows/train.parquet --model mamba --output model/

    Several processes: accelerate launch -m hf_ntg.train flows/train.parquet --model mamba --output model/
    """
    from hf_ntg.flows import load_flows
    from hf_ntg.training import TrainingConfig
    from hf_ntg.training import train as run

    given = {
        name: value for name, value in locals().items() if name in TrainingConfig.field_names() and value is not None
    }
    config = TrainingConfig.recipe(**given, output_dir=str(output))
    result = run(load_flows(flows), config)
    if result.is_main:
        told = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in result.history[-1].items())
        print(f"{output}: {config.model}, {told}, processes {result.num_processes}")


@app.command()
def generate(
    model: Annotated[str, typer.Argument(help="Model folder or Hub id.")],
    output: Annotated[Path, typer.Option(help="New flows: .parquet, .jsonl, .csv, .pcap, .pcapng, or a folder.")],
    num_flows: Annotated[int | None, typer.Option(help="How many flows.")] = None,
    label: Annotated[str | None, typer.Option(help="All of this class; without it, the training flows' mix.")] = None,
    like: Annotated[str | None, typer.Option(help="As many flows of each class as this flow table has.")] = None,
    temperature: Annotated[float | None, typer.Option(help="Below 1 favours likely flows (causal models).")] = None,
    steps: Annotated[int | None, typer.Option(help="Denoising steps (diffusion models).")] = None,
    scheduler: Annotated[str | None, typer.Option(help="Sampler in place of the model's own (diffusion).")] = None,
    device: Annotated[str, typer.Option(help="Where to draw: 'cpu', 'cuda', …")] = "cpu",
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of a model on the Hub.")] = None,
    num_proc: Annotated[int, typer.Option(help="Processes to draw with; the flows stay the same.")] = 1,
    num_shards: Annotated[int | None, typer.Option(help="Write a folder of so many Parquet files.")] = None,
    shard: Annotated[str | None, typer.Option(help="Of these files, those of process i of n: 'i/n', from 0.")] = None,
    seed: Seed = 0,
) -> None:
    """Make new labelled flows with a trained model.

    Example: ntg generate model/ --num-flows 10000 --output synthetic.parquet

    Very many, by several processes or machines, restarted where they were killed:
    torchrun --nproc_per_node 4 -m hf_ntg.cli generate model/ --num-flows 10000000 --num-shards 64 --output flows/
    """
    from hf_ntg.flows.capture_out.write_pcap import CAPTURE_FORMATS, write_pcap
    from hf_ntg.flows.class_mix import counts_like
    from hf_ntg.flows.provenance import with_command
    from hf_ntg.flows.save import TABLE_SUFFIXES, save_flows
    from hf_ntg.generation import FlowGenerator

    if num_shards is None and output.suffix not in (*TABLE_SUFFIXES, *CAPTURE_FORMATS):
        known = ", ".join((*TABLE_SUFFIXES, *CAPTURE_FORMATS))
        raise InputError(f"{output}: no such format; name the file with one of {known}")
    if like is not None and (num_flows is not None or label is not None):
        raise InputError("--like says how many flows of which class; leave out --num-flows and --label")
    wanted = counts_like(like) if like is not None else label
    generator = FlowGenerator.from_pretrained(model, revision=revision, device=device)
    options = {"temperature": temperature, "num_inference_steps": steps, "scheduler": scheduler}
    options = {name: value for name, value in options.items() if value is not None}
    if num_shards is not None:
        from tqdm import tqdm

        from hf_ntg.generation.shards import write_shards
        from hf_ntg.launch import launched_share, parse_share

        part = launched_share() if shard is None else parse_share(shard)
        with tqdm(unit=" flows", desc="generating", disable=None) as bar:
            options |= {"share": part, "on_progress": bar.update, "command": told_command()}
            files = write_shards(generator, output, num_shards, num_flows, wanted, seed, **options)
        print(f"{output}: {len(files)} files of process {part[0]} of {part[1]}")
        return
    flows = generator.stream(num_flows, wanted, seed, num_proc=num_proc, **options)
    if output.suffix in TABLE_SUFFIXES:
        total = sum(wanted.values()) if like is not None else num_flows
        save_flows(counted((with_command(part, told_command()) for part in flows), total), output)
        print(f"{output}: {total} flows")
    else:
        print(f"{output}: {write_pcap(flows, output, seed)}")
