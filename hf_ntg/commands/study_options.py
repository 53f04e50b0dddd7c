"""Helpers of `ntg study`: turn command-line options into a profile, run it, and write the report."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hf_ntg.errors import InputError
from hf_ntg.flows.view import check_view
from hf_ntg.launch import parse_share
from hf_ntg.study.plan import AXES, FULL, NONE, QUICK, Profile, Run
from hf_ntg.study.run import run_study, shard_of_environment
from hf_ntg.text_tables import TextTable
from hf_ntg.training.config import RANGES

__all__ = ["chosen_profile", "study_command"]


def study_command(
    flows: list[str],
    output: Path,
    quick: bool,
    choices: dict[str, str | None],
    axes: str | None,
    shard: str | None,
    *,
    redo_stale: bool = False,
    only_report: bool = False,
    say: Callable[[str], None] = print,
) -> tuple[list[Run], list[TextTable]]:
    """Run a study and write its report. Return the runs that failed, and the overview tables."""
    from hf_ntg.study.results.study_report import overview_of, write_study
    from hf_ntg.study.results.table import as_text

    failed = []
    if not only_report:
        profile = chosen_profile(QUICK if quick else FULL, choices)
        part = shard_of_environment() if shard is None else parse_share(shard)
        failed = run_study(
            flows,
            output,
            profile,
            axes=AXES if axes is None else _words(axes),
            shard=part,
            redo_stale=redo_stale,
            command=_typed(flows, output),
            say=say,
        )
    say(write_study(output))
    return failed, [as_text(table) for table in overview_of(output)]


def chosen_profile(profile: Profile, choices: dict[str, str | None]) -> Profile:
    """`profile` changed by the given choices, each a comma-separated list."""
    readers = {"seeds": _seeds, "shots": _counts, "times": _counts, "view": _view, "epsilons": _epsilons}
    given: dict[str, Any] = {
        name: readers.get(name, _words)(text) for name, text in choices.items() if text is not None
    }
    for name in ("shot_models", "budget_models"):
        if "models" in given and name not in given:
            chosen = tuple(model for model in getattr(profile, name) if model in given["models"])
            given[name] = chosen or given["models"]
    if "seeds" in given:
        given["shot_seeds"] = given["seeds"]
    return replace(profile, **given)


def _typed(flows: list[str], output: Path) -> str:
    """The command line, with file names in place of paths."""
    paths = {str(output), *flows}
    return shlex.join(["ntg", *(Path(word).name if word in paths else word for word in sys.argv[1:])])


def _view(text: str) -> str:
    check_view(text)
    return text


def _epsilons(text: str) -> tuple[float | str, ...]:
    return tuple(map(_epsilon, _words(text)))


def _epsilon(word: str) -> float | str:
    if word == NONE:
        return NONE
    try:
        value = float(word)
    except ValueError as error:
        raise InputError(f"epsilon {word!r}: give numbers by commas; {NONE!r} is no guarantee") from error
    RANGES["epsilon"].check("epsilon", value)
    return value


def _words(text: str) -> tuple[str, ...]:
    found = tuple(word.strip() for word in text.split(",") if word.strip())
    if not found:
        raise InputError(f"{text!r} names nothing; give words separated by commas")
    return found


def _seeds(text: str) -> tuple[int, ...]:
    numbers = tuple(map(_number, _words(text)))
    return tuple(range(numbers[0])) if "," not in text else numbers


def _counts(text: str) -> tuple[int, ...]:
    found = tuple(map(_number, _words(text)))
    if 0 in found:
        raise InputError(f"{text!r}: give numbers from 1, by commas")
    return found


def _number(word: str) -> int:
    if not word.isdigit():
        raise InputError(f"{word!r}: give whole numbers by commas")
    return int(word)
