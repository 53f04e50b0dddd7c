"""The transformations by name, and recipes that compose and mix them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hf_ntg.augmentation.crossovers import crossover
from hf_ntg.augmentation.edits import joined
from hf_ntg.augmentation.losses import masking, packet_loss, packet_shift
from hf_ntg.augmentation.retransmissions import fast_retransmit, time_out
from hf_ntg.augmentation.timing import change_rtt, jitter, time_shift
from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays

__all__ = ["TRANSFORMATIONS", "Recipe", "Transformation", "parse_recipe", "transform_flows"]

Transformation = Callable[[FlowArrays, np.random.Generator, int], FlowArrays]

TRANSFORMATIONS: dict[str, Transformation] = {
    "loss": packet_loss,
    "masking": masking,
    "shift": packet_shift,
    "fast-retransmit": fast_retransmit,
    "time-out": time_out,
    "crossover": crossover,
    "change-rtt": change_rtt,
    "time-shift": time_shift,
    "jitter": jitter,
}


@dataclass(frozen=True)
class Recipe:
    """Alternatives, each a sequence of transformations.

    Attributes:
        name: as written, such as ``crossover,crossover+loss``.
        alternatives: names of transformations, applied from left to right. Every flow takes one alternative at random.
    """

    name: str
    alternatives: tuple[tuple[str, ...], ...]

    def apply(self, flows: FlowArrays, rng: np.random.Generator, max_packets: int) -> FlowArrays:
        """Transform each of N flows: N flows in the same order."""
        chosen = rng.integers(0, len(self.alternatives), len(flows))
        rows, parts = [], []
        for number, names in enumerate(self.alternatives):
            own = np.flatnonzero(chosen == number)
            if len(own):
                part = flows.take(own)
                for name in names:
                    part = TRANSFORMATIONS[name](part, rng, max_packets)
                rows.append(own)
                parts.append(part)
        return joined(parts).take(np.argsort(np.concatenate(rows))) if parts else flows


def parse_recipe(name: str) -> Recipe | None:
    """The recipe that `name` writes, or None where a part of it is not a transformation.

    ``+`` joins transformations that are applied one after another, ``,`` separates alternatives.
    """
    alternatives = tuple(tuple(part.strip() for part in choice.split("+")) for choice in name.split(","))
    known = all(part in TRANSFORMATIONS for choice in alternatives for part in choice)
    return Recipe(name, alternatives) if known else None


def transform_flows(flows: FlowArrays, recipe: str, seed: int = 0, max_packets: int | None = None) -> FlowArrays:
    """Transform each of N labelled flows, in order.

    Args:
        flows: N flows. Crossover takes its second flow from them.
        recipe: a name in ``TRANSFORMATIONS``, or several, see :func:`parse_recipe`.
        seed: the same seed gives the same flows.
        max_packets: longest flow that may result; default: the longest of `flows`.

    Raises:
        InputError: `recipe` names something else.
    """
    parsed = parse_recipe(recipe)
    if parsed is None:
        raise InputError(f"no transformation {recipe!r}; choose from {', '.join(TRANSFORMATIONS)}, joined by + and ,")
    longest = max_packets or int(flows.num_packets.max(initial=1))
    return parsed.apply(flows, np.random.default_rng(seed), longest)
