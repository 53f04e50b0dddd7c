"""What all commands share: the application they belong to, and how they speak."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["Seed", "app", "counted", "say", "told_command"]

app = typer.Typer(
    name="ntg",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Seed = Annotated[int, typer.Option(help="Seed of everything random.")]


@app.callback()
def commands() -> None:
    """Small generators of labelled network flows: train, generate, judge."""


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


def told_command() -> str:
    """This command line as others may read it: files and folders by their last names."""
    told = ["ntg"]
    for word in sys.argv[1:]:
        option, equals, value = word.rpartition("=")
        told.append(f"{option}{equals}{Path(value).name if value.startswith(('/', '~', '.')) else value}")
    return " ".join(told)
