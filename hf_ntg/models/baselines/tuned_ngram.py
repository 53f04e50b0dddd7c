"""An n-gram that is tuned on the training flows themselves."""

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
    """An n-gram whose order (2 to 6) and scale of discounts (1, 1.2 or 1.35) the training flows choose.

    A fifth of them is held out, whole captures where the captures are known and can be held out, else flows; the
    likeliest setting for that fifth is then fitted to all. Where no class has two flows, nothing can be held out: the
    order is then 2 and the scale 1.2. What is likeliest is not what a classifier learns most from: a 4-gram of scale 1
    copies more, and is the harder rival in use.
    """

    kind = "tuned-n-gram"

    @property
    def name(self) -> str:
        """The same for every order that it may choose."""
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
        except InputError:  # no class can spare any
            continue
    return None
