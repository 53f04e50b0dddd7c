"""TunedNGram: an n-gram whose settings are chosen on held-out training flows."""

from __future__ import annotations

import itertools

import numpy as np
from datasets import DatasetDict

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.split import split_flows
from hf_ntg.models.baselines.ngram import NGram

__all__ = ["TunedNGram"]

ORDERS = (2, 3, 4, 5, 6)
SCALES = (1.0, 1.2, 1.35)


class TunedNGram(NGram):
    """An n-gram with the order (2 to 6) and scale of discounts (1, 1.2 or 1.35) of the highest held-out likelihood.

    A fifth of the training flows is held out: whole captures where possible, else random flows. The best setting is
    then fitted to all training flows. If no class has two flows, nothing can be held out, and the order is 2 and the
    scale 1.2. The most likely model is not the most useful one to a classifier: a 4-gram of scale 1 copies more, and
    classifiers trained on its flows score higher.
    """

    kind = "tuned-n-gram"

    @property
    def name(self) -> str:
        """``tuned-n-gram``, whatever order was chosen."""
        return self.kind

    def __init__(self) -> None:
        super().__init__(ORDERS[0], SCALES[1])

    def _fit(self, flows: FlowArrays, classes: np.ndarray) -> None:
        parts = _hold_out(flows)
        if parts is not None:
            trials = {
                (order, scale): NGram(order, scale).fit(parts["train"], self.max_packets).log_likelihood(parts["test"])
                for order, scale in itertools.product(ORDERS, SCALES)
            }
            self.order, self.scale = max(trials, key=lambda setting: trials[setting].mean())
        super()._fit(flows, classes)


def _hold_out(flows: FlowArrays) -> DatasetDict | None:
    table = flows.to_dataset()
    known = flows.capture is not None and None not in flows.capture
    for by in ("capture", "random") if known else ("random",):
        try:
            return split_flows(table, by=by, seed=0)
        except InputError:  # no class has flows to hold out
            continue
    return None
