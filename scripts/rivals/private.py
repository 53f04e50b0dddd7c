"""A synthesiser with differential privacy, for comparison with ``private-n-gram``: its guarantee is for one flow."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from rivals.forms import as_rows, from_sizes

if TYPE_CHECKING:
    from rivals.synthesisers import Settings

__all__ = ["PRIVATE"]

LONGEST = 1_460  # bytes; longer packets are cut to it, as private-n-gram does


def mst(flows: pd.DataFrame, settings: Settings, epsilon: float) -> Callable[[int], list[dict]]:
    """SmartNoise's MST: a tree of noised marginals of two columns (McKenna et al., arXiv 2108.04978).

    It learns the class and the sizes of the packets, without times. Class names are public. So are the values that a
    size can have, so that nothing is learned from the flows before noise is added. It has no length of training.
    """
    from snsynth.mst import MSTSynthesizer
    from snsynth.transform import LabelTransformer, TableTransformer

    sizes = [f"packet_{place}" for place in range(settings.width)]
    rows = as_rows(flows, settings.width)[["label", *sizes]]
    rows[sizes] = rows[sizes].clip(-LONGEST - 1, LONGEST + 1)
    names, values = sorted(set(rows["label"])), list(range(-LONGEST - 1, LONGEST + 2))
    every = {"label": [names[place % len(names)] for place in range(len(values))]}
    transformer = TableTransformer([LabelTransformer(nullable=False) for _ in rows])
    transformer.fit(pd.DataFrame(every | dict.fromkeys(sizes, values)))
    delta = min(1e-5, 0.1 / len(rows))
    model = MSTSynthesizer(epsilon=epsilon, delta=delta)
    model.fit(rows, transformer=transformer)
    settings.notes |= {"epsilon": epsilon, "delta": delta}
    return lambda count: [from_sizes(row[0], row[1:]) for row in model.sample(count).itertuples(index=False, name=None)]


PRIVATE = {f"mst-{epsilon}": partial(mst, epsilon=float(epsilon)) for epsilon in (8, 1)}
