"""The command `ntg augment`, for few labelled flows."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hf_ntg.commands.app import Seed, app, number, public_command, show, show_table
from hf_ntg.constants import DEFAULT_PER_CLASS
from hf_ntg.errors import InputError
from hf_ntg.output_places import check_output_file
from hf_ntg.ranges import COUNTS

if TYPE_CHECKING:
    from hf_ntg.generation import FlowGenerator


@app.command()
def augment(
    flows: Annotated[str, typer.Argument(help="Few labelled flows: table, capture, or a data set on the Hub.")],
    output: Annotated[Path, typer.Option(help="Table to write: .parquet, .jsonl or .csv.")],
    method: Annotated[
        str,
        typer.Option(
            help="'auto' (cross-validation on the few), loss, masking, shift, fast-retransmit, time-out, crossover, "
            "change-rtt, time-shift, jitter ('+' applies one after another, ',' separates alternatives), a baseline "
            "such as smote or 4-gram, or a model: its folder or Hub id."
        ),
    ] = "auto",
    per_class: Annotated[int, number(COUNTS, "Flows to reach in each class.")] = DEFAULT_PER_CLASS,
    unlabelled: Annotated[
        str | None, typer.Option(help="Many flows of the same network; their labels are guessed from the few.")
    ] = None,
    view: Annotated[
        str | None, typer.Option(help="Packet view, 'payload' or 'all'; default: the model's, or as the flows are.")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Top up few labelled flows for the training of a classifier.

    Real flows come first; the column 'synthetic' marks the others.

    Example: ntg augment few.parquet --output more.parquet
    """
    from hf_ntg.augmentation import augment as top_up
    from hf_ntg.flows import load_flows, save_flows
    from hf_ntg.flows.provenance import provenance_of, with_command
    from hf_ntg.flows.save import TABLE_SUFFIXES
    from hf_ntg.flows.unpacking import printable_name
    from hf_ntg.text_tables import TextTable

    if output.suffix not in TABLE_SUFFIXES:
        raise InputError(f"{output}: no such flow format; name the file with one of {', '.join(TABLE_SUFFIXES)}")
    check_output_file(output)
    more = None if unlabelled is None else load_flows(unlabelled)
    helper = _model_or_name(method)
    result = top_up(load_flows(flows), helper, per_class=per_class, unlabelled=more, view=view, seed=seed)
    save_flows(with_command(result, public_command()), output)
    made = sum(result["synthetic"])
    ways = ", ".join(mark.model for mark in provenance_of(result))
    real = len(result) - made
    show(f"{output}: {real} real and {made} added flows ({ways})", output=output, real=real, added=made, method=ways)
    counts = Counter(zip(result["label"], result["synthetic"], strict=True))
    rows = [
        (printable_name(name), str(counts[name, False]), str(counts[name, True]))
        for name in dict.fromkeys(result["label"])
    ]
    show_table(TextTable(("class", "real", "added"), rows))


def _model_or_name(method: str) -> str | FlowGenerator:
    """The generator in a folder or on the Hub, or the name of a method."""
    if "/" not in method and not Path(method).is_dir():
        return method
    from hf_ntg.generation import FlowGenerator

    return FlowGenerator.from_pretrained(method)
