"""`ntg`: the command line. Each command reads its arguments, calls the package and says what was made."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hf_ntg.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["app", "main"]

app = typer.Typer(
    name="ntg",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Seed = Annotated[int, typer.Option(help="Seed of everything random.")]


def main() -> None:
    """Run a command; exit 0 when done, 2 with one line when the input or the user is at fault, 1 when we are."""
    # Our own bars say what is going on; those of the libraries would tear them.
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    # Threads wait for each other by spinning. Where other programs want the cores too, and the libraries' own patience is
    # left in force, a training step has been seen to take thirty times as long.
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    logging.getLogger("accelerate").setLevel(logging.ERROR)
    try:
        app()
    except InputError as error:
        say(f"ntg: {error}")
        sys.exit(2)
    except KeyboardInterrupt:
        say("ntg: interrupted")
        sys.exit(130)


def say(line: str) -> None:
    """One line for the person at the terminal; standard output is kept for results."""
    print(line, file=sys.stderr, flush=True)


def counted(parts: Iterable[Dataset], total: int) -> Iterator[Dataset]:
    """Pass `parts` on, with a progress bar over their flows on a terminal."""
    from tqdm import tqdm

    with tqdm(total=total, unit=" flows", desc="generating", disable=None) as bar:
        for part in parts:
            bar.update(len(part))
            yield part


@app.callback()
def commands() -> None:
    """Small generators of labelled network flows: train, generate, judge."""


@app.command("import")
def import_(
    sources: Annotated[list[Path], typer.Argument(help="Captures, MIRAGE, CESNET or other tables, or their folders.")],
    output: Annotated[Path, typer.Option(help="Parquet file to write.")],
    label: Annotated[str | None, typer.Option(help="Label of flows that no other rule fits.")] = None,
    label_by_folder: Annotated[bool, typer.Option(help="The folder a file lies in is its label.")] = False,
    label_pattern: Annotated[str | None, typer.Option(help="Regular expression on the path; its group labels.")] = None,
    label_table: Annotated[Path | None, typer.Option(help="CSV: capture or 5-tuple, and label.")] = None,
    label_sni: Annotated[Path | None, typer.Option(help="CSV: suffix of the TLS server name, and label.")] = None,
    label_ndpi: Annotated[bool, typer.Option(help="Label by nDPI; needs nfstream.")] = False,
    max_packets: Annotated[int | None, typer.Option(help="Packets to keep of each flow; all if not given.")] = None,
    idle_timeout: Annotated[float, typer.Option(help="Captures: seconds of silence that end a flow.")] = 120.0,
    decapsulate: Annotated[
        bool, typer.Option(help="Captures: look inside tunnels (VXLAN, Geneve, GTP-U, GRE, IP-in-IP).")
    ] = False,
    split_offload: Annotated[bool, typer.Option(help="Captures: cut offloaded packets at the MSS.")] = False,
    sni: Annotated[bool, typer.Option(help="Captures: keep TLS server names in a column 'sni'.")] = False,
    labelling: Annotated[
        str, typer.Option(help="MIRAGE: keep flows labelled 'exact', 'most-common' or 'all'.")
    ] = "all",
    background: Annotated[
        str, typer.Option(help="MIRAGE: 'label' other apps' flows, 'drop' or 'keep' them.")
    ] = "label",
    label_column: Annotated[str, typer.Option(help="CESNET: column with the class.")] = "APP",
    columns: Annotated[list[str] | None, typer.Option(help="Tables: OURS=THEIRS, e.g. payload_length=SIZES.")] = None,
    keep_addresses: Annotated[str, typer.Option(help="'none', or 'hashed' with a key.")] = "none",
    address_key_file: Annotated[Path | None, typer.Option(help="Key of the hashes; drawn if not given.")] = None,
    num_proc: Annotated[int, typer.Option(help="Processes; the output does not depend on it.")] = 1,
) -> None:
    """Read captures and public data sets into a flow table; exits 2 where a file was broken, with the rest kept.

    Example: ntg import captures/ --label-by-folder --max-packets 32 --output flows.parquet
    """
    from tqdm import tqdm

    from hf_ntg.flows.importing import ReadingOptions, import_flows
    from hf_ntg.flows.labelling.labels import LabelRules
    from hf_ntg.flows.table_in.tabular import parse_columns

    options = ReadingOptions(
        labels=LabelRules(label_table, label_sni, label_ndpi, label_pattern, label_by_folder, label),
        max_packets=max_packets,
        idle_timeout=idle_timeout,
        decapsulate=decapsulate,
        split_offload=split_offload,
        read_sni=sni,
        labelling=labelling,
        background=background,
        label_column=label_column,
        columns=parse_columns(columns or []),
        keep_addresses=keep_addresses,
        address_key=_read_key(address_key_file) if address_key_file else b"",
    )
    with tqdm(unit="B", unit_scale=True, desc="reading", disable=None, file=sys.stderr) as bar:

        def progress(total: int, read: int) -> None:
            bar.total = total
            bar.update(read)

        report = import_flows(sources, output, options, num_proc=num_proc, progress=progress)
    for remark in report.remarks():
        say(remark)
    print(f"{output}: {report.flows} flows from {len(report.files)} files")
    if report.broken:
        raise typer.Exit(2)


def _read_key(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror})") from error


@app.command()
def quickstart(
    output: Annotated[Path, typer.Option(help="Folder for flows, model, synthetic flows and report.")] = Path(
        "quickstart"
    ),
    flows: Annotated[str, typer.Option(help="Flows to start from; 'loopback' is the bundled set.")] = "loopback",
    epochs: Annotated[int | None, typer.Option(help="Passes over the training flows.")] = None,
    seed: Seed = 0,
) -> None:
    """Train on the bundled flows, generate, judge, and write report.html.

    Example: ntg quickstart --output quickstart
    """
    from hf_ntg.study.quickstart import run_quickstart

    for line in run_quickstart(output, flows, epochs=epochs, seed=seed, say=say):
        print(line)


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
    from hf_ntg.flows.save import TABLE_SUFFIXES, save_flows
    from hf_ntg.generation import FlowGenerator
    from hf_ntg.generation.made_by import MadeBy

    if num_shards is None and output.suffix not in (*TABLE_SUFFIXES, *CAPTURE_FORMATS):
        known = ", ".join((*TABLE_SUFFIXES, *CAPTURE_FORMATS))
        raise InputError(f"{output}: no such format; name the file with one of {known}")
    if like is not None and (num_flows is not None or label is not None):
        raise InputError("--like says how many flows of which class; leave out --num-flows and --label")
    wanted = counts_like(like) if like is not None else label
    options = {} if temperature is None else {"temperature": temperature}
    generator = FlowGenerator.from_pretrained(model, revision=revision)
    if num_shards is not None:
        from tqdm import tqdm

        from hf_ntg.generation.shards import write_shards
        from hf_ntg.launch import launched_share, parse_share

        part = launched_share() if shard is None else parse_share(shard)
        with tqdm(unit=" flows", desc="generating", disable=None) as bar:
            options |= {"share": part, "told": bar.update, "command": _told_command()}
            files = write_shards(generator, output, num_shards, num_flows, wanted, seed, **options)
        print(f"{output}: {len(files)} files of process {part[0]} of {part[1]}")
        return
    flows = generator.stream(num_flows, wanted, seed, num_proc=num_proc, **options)
    if output.suffix in TABLE_SUFFIXES:
        total = sum(wanted.values()) if like is not None else num_flows
        mark = MadeBy.of_model(generator.source, seed, _told_command())
        save_flows(counted(flows, total), output, metadata=mark.metadata())
        print(f"{output}: {total} flows")
    else:
        print(f"{output}: {write_pcap(flows, output, seed)}")


def _told_command() -> str:
    """This command line as others may read it: files and folders by their last names."""
    told = ["ntg"]
    for word in sys.argv[1:]:
        option, equals, value = word.rpartition("=")
        told.append(f"{option}{equals}{Path(value).name if value.startswith(('/', '~', '.')) else value}")
    return " ".join(told)


@app.command()
def split(
    flows: Annotated[str, typer.Argument(help="Flow table, capture, 'loopback' or a data set on the Hub.")],
    output: Annotated[Path, typer.Option(help="Folder for train.parquet and test.parquet.")],
    by: Annotated[str, typer.Option(help="'random' (stratified) or 'capture' (no capture on both sides).")] = "random",
    test_size: Annotated[float, typer.Option(help="Share of the flows to test on.")] = 0.2,
    seed: Seed = 0,
) -> None:
    """Split flows into training and test flows.

    Example: ntg split flows.parquet --by capture --output flows/
    """
    from hf_ntg.flows import load_flows, save_flows, split_flows

    parts = split_flows(load_flows(flows), by=by, test_size=test_size, seed=seed)
    for name, part in parts.items():
        path = save_flows(part, output / f"{name}.parquet")
        print(f"{path}: {len(part)} flows, {len(set(part['label']))} classes")


@app.command()
def export(
    flows: Annotated[str, typer.Argument(help="Flow table, capture, 'loopback' or a data set on the Hub.")],
    output: Annotated[Path, typer.Option(help="The capture: .pcap or .pcapng; a new folder with --per-flow.")],
    per_flow: Annotated[bool, typer.Option("--per-flow", help="A .pcap a flow, in folders named by label.")] = False,
    rate: Annotated[float, typer.Option(help="Flows that begin a second, on average (a Poisson process).")] = 10.0,
    complete: Annotated[
        bool, typer.Option("--complete/--own-packets", help="Add the handshakes and closings that TCP flows lack.")
    ] = True,
    mss: Annotated[int | None, typer.Option(help="Longest TCP payload of a packet; default 1460, IPv6 1440.")] = None,
    clients: Annotated[str, typer.Option(help="Private or documentation network, IPv4 or IPv6.")] = "10.0.0.0/8",
    servers: Annotated[str, typer.Option(help="Private or documentation network, IPv4 or IPv6.")] = "203.0.113.0/24",
    payload: Annotated[str, typer.Option(help="'auto', 'random', 'tls' or 'zero'.")] = "auto",
    mark: Annotated[
        int, typer.Option(help="IPv4 identification that says synthetic; added packets: one more.")
    ] = 0x4E54,
    seed: Seed = 0,
) -> None:
    """Write flows as a capture of valid conversations, and a table of what each flow is (x.flows.csv).

    'ntg import' of the capture takes the labels back from that table.

    Example: ntg export synthetic.parquet --output synthetic.pcapng --rate 50
    """
    from hf_ntg.flows import write_pcap
    from hf_ntg.flows.stream import stream_flows

    settings = {"rate": rate, "complete": complete, "mss": mss, "clients": clients, "servers": servers}
    report = write_pcap(stream_flows(flows), output, seed, per_flow=per_flow, payload=payload, mark=mark, **settings)
    print(f"{output}: {report}")


@app.command()
def evaluate(
    train: Annotated[str, typer.Option(help="Real flows that the generator was trained on.")],
    test: Annotated[str, typer.Option(help="Real flows that it has not seen.")],
    synthetic: Annotated[str, typer.Option(help="Its flows.")],
    output: Annotated[Path, typer.Option(help="Folder for report.html, report.md and report.json.")],
    max_packets: Annotated[int, typer.Option(help="Judge flows on their first so many packets.")] = 10,
    model: Annotated[
        str | None, typer.Option(help="The causal model that made them: adds membership inference by likelihood.")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Judge synthetic flows beside real ones and baselines.

    Example: ntg evaluate --train train.parquet --test test.parquet --synthetic synthetic.parquet --output report/
    """
    from hf_ntg.flows import load_flows
    from hf_ntg.metrics import evaluate_flows
    from hf_ntg.study import headline, write_report

    sources = {"train": train, "test": test, "synthetic": synthetic}
    tables = {name: load_flows(source) for name, source in sources.items()}
    told = None if model is None else _likelihood_of(model)
    result = evaluate_flows(**tables, max_packets=max_packets, seed=seed, log_likelihood=told)
    paths = write_report(result | {"inputs": sources}, output)
    print(headline(result))
    print(paths["html"])


def _likelihood_of(model: str):
    from hf_ntg.generation import FlowGenerator

    generator = FlowGenerator.from_pretrained(model)
    if not hasattr(generator, "log_likelihood"):
        raise InputError(f"{model}: gives flows no likelihood (a diffusion model); leave --model out")
    return generator.log_likelihood


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
    shots: Annotated[str | None, typer.Option(help="Few labels: real flows a class, by commas.")] = None,
    shot_models: Annotated[str | None, typer.Option(help="Few labels: generators, by commas.")] = None,
    shot_classifiers: Annotated[str | None, typer.Option(help="Few labels: classifiers, by commas.")] = None,
    budget_models: Annotated[str | None, typer.Option(help="Training length: families, by commas.")] = None,
    shard: Annotated[str | None, typer.Option(help="'i/n': the part of process i of n, from 0.")] = None,
    redo_stale: Annotated[bool, typer.Option("--redo-stale", help="Do again what other code made.")] = False,
    only_report: Annotated[bool, typer.Option("--only-report", help="Report what is done; run nothing.")] = False,
) -> None:
    """Judge generators over flow tables, splits and seeds; a study that was stopped goes on where it was.

    Example: ntg study loopback --quick --output study/

    Axes: efficiency, fidelity, synthetic-only, augmentation, training-length.
    """
    from hf_ntg.study.command import study_command

    choices = {"models": models, "by": by, "seeds": seeds, "shots": shots}
    choices |= {"shot_models": shot_models, "shot_classifiers": shot_classifiers, "budget_models": budget_models}
    failed = study_command(
        flows, output, quick, choices, axes, shard, redo_stale=redo_stale, only_report=only_report, say=say
    )
    print(output / "report.html")
    if failed:
        say(f"ntg: {len(failed)} runs failed, see above; they are left undone")
        raise typer.Exit(1)


@app.command()
def publish(
    source: Annotated[str, typer.Argument(help="Model folder, flows of 'ntg generate' (or a folder), or a metric.")],
    repo_id: Annotated[str, typer.Argument(help="Repository: ORGANISATION/NAME.")],
    report: Annotated[Path | None, typer.Option(help="report.json of 'ntg evaluate': figures for the card.")] = None,
    license: Annotated[str, typer.Option(help="Licence of what is published, as the Hub names it.")] = "apache-2.0",
    trained_on: Annotated[str | None, typer.Option(help="Models: what data they learned from, in words.")] = None,
    private: Annotated[bool | None, typer.Option("--private/--public", help="Of a new repository.")] = None,
    revision: Annotated[str | None, typer.Option(help="Branch to commit to; made where it is missing.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write the folder, say what would go; send nothing.")
    ] = False,
    folder: Annotated[
        Path | None, typer.Option(help="--dry-run: the folder; by default the repository's name.")
    ] = None,
) -> None:
    """Publish a model, synthetic flows or a metric on the Hub, with a card made from its results.

    Example: ntg publish quickstart/model my-org/ntg-gpt2-loopback --report quickstart/report.json --dry-run

    Log in with 'hf auth login' before. An upload that broke off is run again: what arrived is not sent twice.
    """
    from hf_ntg.hub.command import lay_out, send
    from hf_ntg.hub.upload import Destination, list_files

    to = Destination(repo_id, private=private, revision=revision)
    options = {"license": license, "report": report, "trained_on": trained_on}
    if folder is not None and not dry_run:
        raise InputError("--folder goes with --dry-run")
    if dry_run:
        target = folder or Path(repo_id.rpartition("/")[2])
        kind = lay_out(source, target, to, **options)
        for name, size in list_files(target).items():
            print(f"{size:>12,}  {name}")
        print(f"{target}: what would go to the {kind} repository {repo_id}; nothing was sent")
        return
    published = send(source, to, **options)
    print(f"{published.url}: {len(published.files)} files, {sum(published.files.values()):,} bytes, {published.commit}")


@app.command()
def demo(
    model: Annotated[str, typer.Argument(help="Model folder or Hub id.")] = "quickstart/model",
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of a model on the Hub.")] = None,
    port: Annotated[int | None, typer.Option(help="Port of the page; the first free one from 7860.")] = None,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = True,
) -> None:
    """A page on this machine that draws flows, shows them, and hands them out as Parquet or as a capture.

    Example: ntg demo quickstart/model
    """
    from hf_ntg.space import launch

    launch(model, revision=revision, port=port, open_browser=open_browser)


if __name__ == "__main__":
    main()
