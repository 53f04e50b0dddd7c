"""Generators that are fitted by counting: what a learned one has to beat. NumPy only."""

import re

from hf_ntg.errors import InputError
from hf_ntg.models.baselines.empirical import Independent, Replay
from hf_ntg.models.baselines.generator import BaselineGenerator
from hf_ntg.models.baselines.ngram import NGram

__all__ = ["BaselineGenerator", "Independent", "NGram", "Replay", "make_baseline"]


def make_baseline(name: str) -> BaselineGenerator:
    """A baseline, not yet fitted, by its name: ``replay``, ``independent``, or ``3-gram`` and the like.

    Raises:
        InputError: no baseline has that name.
    """
    if match := re.fullmatch(r"([1-9])-gram", name):
        return NGram(int(match[1]))
    found = {kind.kind: kind for kind in (Replay, Independent)}
    if name not in found:
        raise InputError(f"no baseline {name!r}; choose from {', '.join(found)}, 1-gram to 9-gram")
    return found[name]()
