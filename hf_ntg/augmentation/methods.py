"""Synthetic flows from a few real ones, by the name of a method: a transformation, a recipe of them, or a baseline."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hf_ntg.augmentation.transformations import TRANSFORMATIONS, parse_recipe
from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.models.baselines import BASELINES, make_baseline

__all__ = ["check_method", "flows_from_few"]

# Alternatives of a recipe share the flows of a class, and crossover needs others of the class among its share.
_LEAST_TRANSFORMED = 64


def check_method(method: str) -> None:
    """Raise an InputError unless `method` can be given to :func:`flows_from_few`."""
    if parse_recipe(method) is None:
        try:
            make_baseline(method)
        except InputError as error:
            raise InputError(
                f"no method {method!r}; choose 'auto', a transformation ({', '.join(TRANSFORMATIONS)}; joined by '+' "
                f"one after another, by ',' as alternatives), or a baseline ({', '.join(BASELINES)})"
            ) from error


def flows_from_few(
    few: FlowArrays, wanted: Mapping[str, int], method: str, seed: int = 0, max_packets: int | None = None
) -> FlowArrays:
    """Make ``wanted[label]`` flows of each class from the real flows `few`, class after class.

    A transformation changes every flow of the class equally often, give or take one. A baseline is fitted to `few`.

    Args:
        few: labelled flows. wanted: how many flows of which of their classes.
        method: see :func:`check_method`.
        seed: the same seed gives the same flows.
        max_packets: longest flow that may result; default: the longest of `few`.

    Raises:
        InputError: no such method, or a class that `few` do not have.
    """
    check_method(method)
    longest = max_packets or int(few.num_packets.max())
    recipe = parse_recipe(method)
    if recipe is None:
        baseline = make_baseline(method).fit(few, longest)
        counts = [wanted.get(str(label), 0) for label in baseline.labels]
        return baseline.draw(np.repeat(np.arange(len(counts)), counts), seed)
    rng = np.random.default_rng(seed)
    rows, kept = [], []
    for label, count in wanted.items():
        own = np.flatnonzero(few.label == label)
        if not len(own):
            raise InputError(f"no flow of class {label!r} to change")
        drawn = max(count, _LEAST_TRANSFORMED)
        turns = [rng.permutation(own) for _ in range(-(-drawn // len(own)))]
        rows.append(np.concatenate(turns)[:drawn])
        kept.append(np.arange(drawn) < count)
    made = recipe.apply(few.take(np.concatenate(rows)), rng, longest)
    return made.take(np.concatenate(kept))
