"""Reading JSON of unknown origin within bounds, and rules for its fields."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from hf_ntg.errors import InputError
from hf_ntg.flows.schema import MAX_PAYLOAD
from hf_ntg.ranges import Range

__all__ = [
    "ANY_NUMBER",
    "MAX_PACKETS",
    "NAME",
    "Rule",
    "ascending",
    "check_fields",
    "codec_rules",
    "complain",
    "counts",
    "flag",
    "labels",
    "list_of",
    "optional",
    "read_object",
    "same",
    "short_reason",
    "whole_numbers",
    "without_repeats",
]

MAX_BYTES = 64 * 2**20
MAX_DEPTH = 20  # of lists and objects in each other
MAX_CLASSES = 100_000
MAX_LABEL = 100_000  # letters
ANY_NUMBER = Range(-1e12, 1e12)
MAX_PACKETS = 1_000

Rule = Range | tuple | Callable[[Any], bool]
"""What a value must be: a number in a range, one of some values, or whatever a function says."""


def complain(path: Path, what: str) -> InputError:
    """The error for a file of a model that cannot be right."""
    return InputError(f"{path}: the model is damaged or incomplete ({what}); fetch or train it again")


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds one object.

    Raises:
        InputError: it is missing, larger than 64 MiB, not JSON, no object, nested deeply, or has a key twice.
    """
    if not path.is_file():
        raise complain(path, "no such file")
    if path.stat().st_size > MAX_BYTES:
        raise complain(path, f"larger than {MAX_BYTES // 2**20} MiB")
    try:
        found = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=without_repeats)
    except (ValueError, RecursionError) as error:
        raise complain(path, f"not readable as JSON ({short_reason(error)})") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror})") from error
    if not isinstance(found, dict):
        raise complain(path, "holds no object")
    _check_plain(path, found)
    return found


def _check_plain(path: Path, found: Any) -> None:
    """Nothing is nested deeply, and every text can be written as UTF-8: what is read can be written again."""
    level, depth = [found], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise complain(path, f"nested more than {MAX_DEPTH} levels deep")
        parts = [part for one in level for part in (one.values() if isinstance(one, dict) else one)]
        texts = [part for part in parts if isinstance(part, str)]
        texts += [name for one in level if isinstance(one, dict) for name in one]
        if not _is_utf8("".join(texts)):
            raise complain(path, "a text with half a character (a surrogate)")
        level = [part for part in parts if isinstance(part, list | dict)]


def check_fields(
    path: Path, found: Mapping[str, Any], needed: Mapping[str, Rule], others: Mapping[str, Rule] | None = None
) -> None:
    """Check the fields of a JSON object by rules.

    Args:
        needed: rules of the fields that must be there. others: rules of those that may be. Any further field must be
            empty (null, false, an empty list or object): it then changes nothing.
    """
    rules = {**(others or {}), **needed}
    for name in needed:
        if name not in found:
            raise complain(path, f"has no {name!r}")
    for name, value in found.items():
        rule = rules.get(name)
        if rule is None:
            if value not in (None, False, [], {}) or (value == 0 and value is not False):
                raise complain(path, f"{_quoted(name)} is not a setting of this model")
        elif not _obeys(value, rule):
            wanted = f"; expected {rule}" if isinstance(rule, Range) else ""
            raise complain(path, f"{name} {_quoted(value)} is not possible{wanted}")


def optional(rule: Rule) -> Rule:
    """Null, or what `rule` says."""
    return lambda value: value is None or _obeys(value, rule)


def list_of(rule: Rule, length: int | None = None, most: int = 10_000_000) -> Callable[[Any], bool]:
    """A list of values that obey `rule`, `length` of them if that is given."""

    def holds(value: Any) -> bool:
        return (
            isinstance(value, list)
            and len(value) <= most
            and length in (None, len(value))
            and all(_obeys(part, rule) for part in value)
        )

    return holds


def whole_numbers(low: int, high: int, *, most: int = 10_000_000) -> Callable[[Any], bool]:
    """Ascending whole numbers from `low` to `high`, none twice."""
    within = list_of(Range(low, high, whole=True), most=most)
    return lambda value: within(value) and all(a < b for a, b in pairwise(value))


def ascending(low: float, high: float) -> Callable[[Any], bool]:
    """Numbers from `low` to `high` that never fall."""
    within = list_of(Range(low, high))
    return lambda value: within(value) and all(a <= b for a, b in pairwise(value))


def counts(length: int | None = None) -> Callable[[Any], bool]:
    """Whole numbers from 0, not all of them 0."""
    within = list_of(Range(0, 10**15, whole=True), length)
    return lambda value: within(value) and sum(value) > 0


def labels(value: Any) -> bool:
    """A list of different class names; null is the class of unlabelled flows, and comes last."""
    if not isinstance(value, list) or not 0 < len(value) <= MAX_CLASSES or None in value[:-1]:
        return False
    names = [name for name in value if name is not None]
    return all(isinstance(name, str) and NAME(name) for name in names) and len(set(names)) == len(names)


def codec_rules(found: Mapping[str, Any]) -> dict[str, Rule]:
    """Rules of the fields that every codec has: classes and their counts, and the limits of a flow.

    Args:
        found: the fields of the codec's file.
    """
    return {
        "labels": labels,
        "label_counts": counts(len(found["labels"]) if isinstance(found.get("labels"), list) else None),
        "max_packets": Range(1, MAX_PACKETS, whole=True),
        "max_payload": Range(1, MAX_PAYLOAD, whole=True),
    }


def NAME(value: Any) -> bool:  # noqa: N802 (used like a rule)
    """Text that can be written as UTF-8, not endless."""
    return isinstance(value, str) and len(value) <= MAX_LABEL and _is_utf8(value)


def flag(value: Any) -> bool:
    """True or false."""
    return isinstance(value, bool)


def _obeys(value: Any, rule: Rule) -> bool:
    if isinstance(rule, Range):
        number = isinstance(value, int if rule.whole else int | float) and not isinstance(value, bool)
        return number and abs(value) < 1e300 and math.isfinite(value) and rule.holds(value)
    if isinstance(rule, tuple):
        return any(same(value, allowed) for allowed in rule)
    return rule(value)


def same(found: Any, expected: Any) -> bool:
    """Whether two JSON values are equal, also in the types of their numbers: 1, 1.0 and true differ."""
    if type(found) is not type(expected):
        return False
    if isinstance(found, dict):
        return found.keys() == expected.keys() and all(same(found[name], expected[name]) for name in expected)
    if isinstance(found, list):
        return len(found) == len(expected) and all(map(same, found, expected))
    return bool(found == expected)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A hook for :func:`json.loads` that refuses an object with a key twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


def short_reason(error: Exception) -> str:
    """The first line of an error's message, cut to 100 characters."""
    return (str(error).splitlines() or [type(error).__name__])[0][:100]


def _quoted(value: Any) -> str:
    text = repr(value).encode("ascii", "backslashreplace").decode()
    return text if len(text) <= 60 else f"{text[:57]}..."
