"""Shared parts of all commands: the application, options with ranges, results and messages."""

from __future__ import annotations

import contextlib
import json
import logging
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

import hf_ntg
from hf_ntg.errors import InputError, Interrupted
from hf_ntg.printable import printable, printable_json
from hf_ntg.progress import Progress, logger
from hf_ntg.ranges import SEEDS, Range

if TYPE_CHECKING:
    from datasets import Dataset

    from hf_ntg.text_tables import TextTable

__all__ = [
    "FOR_EVERY_COMMAND",
    "READ_IN_PART",
    "Seed",
    "Stopped",
    "app",
    "counted",
    "number",
    "public_command",
    "results",
    "say",
    "show",
    "show_table",
    "stopping_says",
]

READ_IN_PART = 3  # exit code: some input could not be read; the rest is kept
FOR_EVERY_COMMAND = ("--json", "--quiet", "--verbose")


class Stopped(Exception):  # noqa: N818 (not an error)
    """A command was interrupted; the message says what is kept. Typer would swallow a KeyboardInterrupt."""


class _Command(TyperCommand):
    """A command whose interruption keeps its message, and whose help names the options of every command."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options["epilog"] = options.get("epilog") or f"Every command takes {', '.join(FOR_EVERY_COMMAND)} as well."
        super().__init__(*args, **options)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise Stopped(str(error) or "interrupted; give the same command to start again") from error


class _Application(typer.Typer):
    def command(self, name: str | None = None, **options: Any) -> Callable:
        return super().command(name, cls=_Command, **options)


app = _Application(
    name="ntg",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class _Results:
    """The results of a command: lines on standard output, or one JSON object with ``--json``."""

    def __init__(self) -> None:
        self.as_json, self.found = False, list[dict[str, Any]]()

    def print_json(self, **facts: Any) -> None:
        print(printable_json(json.dumps(facts | {"results": self.found}, ensure_ascii=False, default=str)))


results = _Results()


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"ntg {hf_ntg.__version__}")
        raise typer.Exit


@app.callback()
def commands(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show errors only.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show messages of libraries as well.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Small generators of labelled network flows: train, generate, evaluate.

    Exit codes: 0 success; 1 a fault of ntg; 2 a fault of the input or the request, explained in one line; 3 some input
    could not be read, and the rest is kept; 130 and 143 interrupted.
    """
    if quiet and verbose:
        raise InputError("--quiet and --verbose: give one of them")
    results.as_json, results.found = as_json, []
    logger.setLevel(logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO)


def number(range_: Range, help: str, *names: str, **options: Any) -> Any:
    """An option for a number in `range_`, which its help states; anything else is refused with one line."""

    def parse(text: Any) -> Any:
        try:
            value = int(text) if range_.whole else float(text)
        except (ValueError, OverflowError):
            value = None
        if value is None or not range_.holds(value):
            raise typer.BadParameter(f"{str(text)[:60]!r}: give {range_}")
        return value

    bounds = str(range_).removeprefix("a whole number ").removeprefix("a number ")
    metavar = "INTEGER" if range_.whole else "NUMBER"
    return typer.Option(*names, help=f"{help} ({bounds})", parser=parse, metavar=metavar, **options)


Seed = Annotated[int, number(SEEDS, "Seed of everything random.")]


def show(line: str, **facts: Any) -> None:
    """One result: `line` on standard output, or the `facts` in the command's JSON object."""
    if results.as_json:
        results.found.append(facts or {"text": line})
    else:
        print(printable(line))


def show_table(table: TextTable, facts: Sequence[dict[str, Any]] = ()) -> None:
    """A table of results on standard output, or its `facts` as entries of the command's JSON object."""
    if results.as_json:
        results.found.extend(facts)
    else:
        table.print()


def say(line: str) -> None:
    """Print one message line, unless ``--quiet``. Standard output is reserved for results."""
    logger.info(line)


@contextlib.contextmanager
def stopping_says(message: str) -> Iterator[None]:
    """Show `message` if the block is interrupted without a message."""
    try:
        yield
    except Interrupted:
        raise
    except KeyboardInterrupt as error:
        raise Interrupted(f"interrupted; {message}") from error


def counted(parts: Iterable[Dataset], total: int | None) -> Iterator[Dataset]:
    """Yield `parts`, and show the progress over their flows."""
    with Progress("generating", total) as progress:
        for part in parts:
            progress.update(len(part))
            yield part


def public_command() -> str:
    """This command line for publication: only the last names of files and folders, and full Hub ids."""
    words = ["ntg"]
    for word in sys.argv[1:]:
        option, equals, value = word.rpartition("=")
        words.append(f"{option}{equals}{_last_name(value)}")
    return shlex.join(words)


def _last_name(value: str) -> str:
    """The last name of a path; anything else, such as ``org/name``, as it is."""
    is_path = value.startswith(("/", "~", ".")) or value.count("/") > 1 or Path(value).exists()
    return Path(value).name if "/" in value and is_path else value
