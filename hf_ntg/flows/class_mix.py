"""How many flows of each class a request means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hf_ntg.errors import InputError
from hf_ntg.flows.load import load_flows

__all__ = ["class_counts", "counts_like"]


def class_counts(
    num_flows: int | None,
    label: str | Mapping[str, int] | None,
    labels: list[str | None],
    weights: np.ndarray,
) -> np.ndarray:
    """How many flows of each of `labels` (K,) a request means: (K,) int64.

    Without a label, the classes share `num_flows` by `weights` (K,), rounded by largest remainder.

    Raises:
        InputError: an unknown label, a negative count, or counts that do not add up to `num_flows`.
    """
    if isinstance(label, Mapping):
        wanted: dict[str | None, int] = dict(label.items())
        total = sum(label.values())
        if num_flows is not None and num_flows != total:
            raise InputError(f"{num_flows} flows asked, but the counts of the labels add up to {total}")
    elif num_flows is None:
        raise InputError("say how many flows: num_flows, or a count for each label")
    else:
        wanted = {label: num_flows}
    if min(wanted.values(), default=0) < 0:
        raise InputError("a number of flows cannot be negative")
    if label is None:
        exact = num_flows * weights / weights.sum()
        counts = np.floor(exact).astype(np.int64)
        counts[np.argsort(counts - exact, kind="stable")[: num_flows - counts.sum()]] += 1
        return counts
    place = {name: k for k, name in enumerate(labels)}
    unknown = [name for name in wanted if name not in place]
    if unknown:
        raise InputError(f"the model knows no class {unknown[0]!r}; choose from {', '.join(map(str, labels))}")
    counts = np.zeros(len(labels), dtype=np.int64)
    for name, count in wanted.items():
        counts[place[name]] = count
    return counts


def counts_like(source: str | Path) -> dict[str | None, int]:
    """Flows of each class in the flow table `source`, as a request."""
    return dict(sorted(Counter(load_flows(source)["label"]).items(), key=lambda found: str(found[0])))
