"""How many flows of each class a request means."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hf_ntg.errors import InputError
from hf_ntg.flows.load import load_flows
from hf_ntg.ranges import Range

__all__ = ["class_counts", "counts_like", "counts_of_mix", "parse_mix"]


_FLOWS = Range(0, 10**12, whole=True)


def class_counts(
    num_flows: int | None,
    label: str | Mapping[str, int] | None,
    labels: list[str | None],
    weights: np.ndarray,
) -> np.ndarray:
    """How many flows of each of `labels` (K,) a request means: (K,) int64.

    Without a label, the classes share `num_flows` by `weights` (K,), rounded by largest remainder.

    Raises:
        InputError: an unknown label, a count that is no whole number from 0, or counts that do not add up to
            `num_flows`.
    """
    if not isinstance(label, str | Mapping | None):
        raise InputError(f"label {label!r}: give the name of a class, or a number of flows for each class")
    if num_flows is not None:
        _FLOWS.check("num_flows", num_flows)
    if isinstance(label, Mapping):
        for one, count in label.items():
            _FLOWS.check(f"flows of {one!r}", count)
        wanted: dict[str | None, int] = dict(label.items())
        total = sum(label.values())
        if num_flows is not None and num_flows != total:
            raise InputError(f"{num_flows} flows asked, but the counts of the labels add up to {total}")
    elif num_flows is None:
        raise InputError("say how many flows: num_flows, or a count for each label")
    else:
        wanted = {label: num_flows}
    if label is None:
        return _share_out(num_flows or 0, weights)
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


def parse_mix(texts: Sequence[str]) -> dict[str, float]:
    """Read weights of classes such as ``["https=3,dns=1"]`` or ``["https=3", "dns=1"]``.

    Raises:
        InputError: a part is not a class, "=" and a number above 0, or a class occurs twice.
    """
    found: dict[str, float] = {}
    for text in texts:
        parts = re.findall(r"(.+?)=([^=,]*)(?:,|$)", text)
        if ",".join("=".join(part) for part in parts) != text.rstrip(","):
            raise InputError(f"mix {text!r}: write classes and weights as in https=3,dns=1")
        for name, number in parts:
            try:
                weight = float(number)
            except ValueError:
                weight = math.nan
            if not 0 < weight < math.inf:
                raise InputError(f"mix {text!r}: the weight of {name!r} is {number!r}; give a number above 0")
            if name in found:
                raise InputError(f"mix: the class {name!r} occurs twice")
            found[name] = weight
    return found


def counts_of_mix(num_flows: int, mix: Mapping[str, float]) -> dict[str | None, int]:
    """Flows of each class of `mix`, which share `num_flows` by their weights, rounded by largest remainder."""
    counts = _share_out(num_flows, np.array(list(mix.values()), dtype=np.float64))
    return dict(zip(mix, counts.tolist(), strict=True))


def _share_out(total: int, weights: np.ndarray) -> np.ndarray:
    """`total` shared by `weights` (K,), rounded by largest remainder: (K,) int64."""
    exact = total * weights / weights.sum()
    counts = np.floor(exact).astype(np.int64)
    counts[np.argsort(counts - exact, kind="stable")[: total - counts.sum()]] += 1
    return counts
