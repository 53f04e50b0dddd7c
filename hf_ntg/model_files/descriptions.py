"""The files beside a model that describe it (settings, run, data, scores): what a card can be made from.

Nothing is loaded or drawn by them, so :func:`hf_ntg.model_files.check_model_folder` leaves them alone. They are checked
before a model is published.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hf_ntg.constants import RUN_FILE
from hf_ntg.model_files.fields import ANY_NUMBER, Rule, check_fields, complain, flag, list_of, optional, read_object
from hf_ntg.ranges import Range

__all__ = ["DESCRIPTIONS", "check_evaluation", "read_description"]

_COUNT = Range(0, 10**15, whole=True)
_LONGEST_WORD, _LONGEST_TEXT = 200, 10_000
_MOST_COLUMNS = 100


def read_description(path: Path) -> dict[str, Any]:
    """Read one of the files :data:`DESCRIPTIONS` after a check.

    Raises:
        InputError: it is damaged, or says what neither training nor evaluation writes.
    """
    found = read_object(path)
    DESCRIPTIONS[path.name](path, found)
    return found


def _check_config(path: Path, found: Mapping[str, Any]) -> None:
    for name, value in found.items():
        if not _is_name(name) or not _is_scalar(value):
            raise complain(path, f"{ascii(name)[:40]} is not a setting of a training")


def _check_run(path: Path, found: Mapping[str, Any]) -> None:
    needed: dict[str, Rule] = {"steps": _COUNT, "processes": _COUNT, "device": _is_word}
    needed |= {"environment": _is_table_of(_is_word)} | {name: _COUNT for name in ("flows", "epochs") if name in found}
    if "privacy" not in found:  # a private run tells neither
        needed |= {"flows": _COUNT, "epochs": _COUNT}
    check_fields(path, found, needed, {name: _is_plain for name in found if _is_name(name)})


def _check_data(path: Path, found: Mapping[str, Any]) -> None:
    texts = ("url", "licence", "citation", "hub_id", "classes", "split")
    lists = {name: list_of(_is_text, most=1_000) for name in ("notes", "commands")}
    check_fields(path, found, {"name": _is_text}, {**dict.fromkeys(texts, _is_text), **lists, "complete": flag})


def check_evaluation(path: Path, found: Mapping[str, Any]) -> None:
    """Check the scores that ``ntg evaluate`` found.

    Raises:
        InputError: they are not what it writes.
    """
    flows: Rule = lambda value: isinstance(value, dict) and _is_plain(value) and _is_count(value.get("flows"))  # noqa: E731
    needed: dict[str, Rule] = {
        "hf_ntg": _is_word,
        "max_packets": _COUNT,
        "seed": _COUNT,
        "columns": list_of(_is_word, most=_MOST_COLUMNS),
        "sets": lambda value: _is_table_of(flows)(value) and {"train", "test", "synthetic"} <= value.keys(),
        "notes": list_of(_is_text, most=1_000),
        "metrics": _is_table_of(_is_metric),
    }
    check_fields(path, found, needed, {"view": ("payload", "all")})


DESCRIPTIONS = {
    "training_config.json": _check_config,
    RUN_FILE: _check_run,
    "training_data.json": _check_data,
    "evaluation.json": check_evaluation,
}
"""The check of each file, by its name."""


def _is_metric(value: Any) -> bool:
    if not isinstance(value, dict) or not {"title", "unit", "better", "values"} <= value.keys():
        return False
    texts = all(_is_text(value.get(name, "")) for name in ("title", "group", "unit", "formula", "source"))
    bounds = list_of(optional(ANY_NUMBER), 2)(value.get("range", [None, None]))
    scores = _is_table_of(optional(ANY_NUMBER))(value["values"])
    known = {"title", "group", "unit", "better", "range", "formula", "source", "values"}
    return texts and bounds and scores and value["better"] in ("lower", "higher", "real") and value.keys() <= known


def _is_table_of(rule: Rule) -> Callable[[Any], bool]:
    """An object of at most a thousand words to values that obey `rule`."""
    values = list_of(rule, most=1_000)
    return lambda value: isinstance(value, dict) and all(map(_is_word, value)) and values(list(value.values()))


def _is_plain(value: Any, depth: int = 5) -> bool:
    """Scalars, and lists and objects of them, `depth` levels deep at most."""
    if isinstance(value, list):
        return depth > 0 and len(value) <= 100_000 and all(_is_plain(part, depth - 1) for part in value)
    if isinstance(value, dict):
        return depth > 0 and all(_is_word(name) and _is_plain(part, depth - 1) for name, part in value.items())
    return _is_scalar(value)


def _is_scalar(value: Any) -> bool:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return abs(value) < 1e300
    return value is None or isinstance(value, bool) or _is_word(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and _COUNT.holds(value)


def _is_name(value: str) -> bool:
    """A name of a setting: small letters, digits and underscores."""
    return value.isascii() and value.isidentifier() and value == value.lower() and len(value) <= 60


def _is_word(value: Any) -> bool:
    """A short text on one line."""
    return isinstance(value, str) and len(value) <= _LONGEST_WORD and (not value or value.isprintable())


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_TEXT and value.replace("\n", " ").isprintable()
