"""Real flows topped up with synthetic ones: the training set of a classifier that has too few."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from datasets import Dataset, Value, concatenate_datasets

from hf_ntg.errors import InputError
from hf_ntg.flows.schema import conform_flows

if TYPE_CHECKING:
    from hf_ntg.generation.generator import FlowGenerator

__all__ = ["augment"]


def augment(flows: Dataset, generator: FlowGenerator, per_class: int, seed: int = 0) -> Dataset:
    """Top up `flows` so that every class of theirs has at least `per_class` flows.

    Real flows are all kept, first and as they are; classes that have enough get none. To say anything about the gain,
    test on real flows that neither `flows` nor the generator's training flows hold.

    Args:
        flows: real, labelled flows. generator: one that was trained on the same classes.
        per_class: flows of each class to reach. seed: of the draw.

    Returns:
        A table with the columns that real and synthetic flows share, and ``synthetic`` (bool).

    Raises:
        InputError: `flows` is no flow table, a flow has no label, the generator does not know a class, or `per_class`
            is not positive.
    """
    if per_class < 1:
        raise InputError(f"per_class {per_class}: give at least 1")
    flows = conform_flows(flows, "flows to augment")
    counts = Counter(flows["label"])
    if None in counts:
        raise InputError(f"flows to augment: {counts[None]} have no label; fill the column 'label' or leave them out")
    missing = {label: per_class - count for label, count in sorted(counts.items()) if count < per_class}
    if not missing:
        return _marked(flows, False)
    made = generator.generate(label=missing, seed=seed)
    shared = [name for name in flows.column_names if name in made.column_names]
    return concatenate_datasets(
        [_marked(flows.select_columns(shared), False), _marked(made.select_columns(shared), True)]
    )


def _marked(flows: Dataset, synthetic: bool) -> Dataset:
    return flows.add_column("synthetic", [synthetic] * len(flows), feature=Value("bool"))
