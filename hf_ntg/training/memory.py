"""OnceSeen: how often a causal model repeats once-seen training flows, compared with real traffic.

A flow that recurs in training is part of the distribution. A model that repeats flows seen once may have memorised
them. But new real flows repeat some of them too, so only the excess over their share counts. Good and Turing's estimate
(Good, Biometrika 40, 1953) gives that share from the training data alone, so that no flows need to be held back.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hf_ntg.codecs.flow_grammar import FlowGrammar

__all__ = ["OnceSeen"]

MOST_MEASURED = 512  # number of once-seen flows whose probability is computed; a random sample


class OnceSeen:
    """The training flows whose class and packets occur once.

    Args:
        sentences: (S, L) distinct padded sentences. counts: (S,) training flows of each. pad: the padding token.

    Attributes:
        expected: estimated share of new real flows that repeat a once-seen flow: 2 * (flows seen twice) / (all flows).
    """

    def __init__(self, grammar: FlowGrammar, sentences: np.ndarray, counts: np.ndarray, pad: int) -> None:
        ends = sentences == grammar.end_of_packets
        cut = np.where(ends.cumsum(axis=1) - ends > 0, pad, sentences)  # label, header, packets and their end
        packets = cut.copy()
        packets[:, 1 : grammar.prefix_length] = pad
        _, first, place = np.unique(packets, axis=0, return_index=True, return_inverse=True)
        occurrences = np.bincount(place.ravel(), weights=counts)
        self.expected = 2.0 * (occurrences == 2).sum() / counts.sum()
        once = first[occurrences == 1]
        chosen = np.random.default_rng(0).permutation(once)[:MOST_MEASURED]
        self._sentences = cut[chosen]
        flows_of_label = np.bincount(sentences[:, 0], weights=counts)
        share = flows_of_label[self._sentences[:, 0]] / counts.sum()
        self._weights = share * len(once) / max(1, len(chosen))

    def excess(self, nats: Callable[[np.ndarray], np.ndarray]) -> float:
        """Share of a model's flows that repeat a once-seen flow, minus `expected`.

        Args:
            nats: negative log-likelihoods, given their labels, of padded sentences (n, L): (n,).
        """
        if not len(self._sentences):
            return -self.expected
        return float((np.exp(-nats(self._sentences)) * self._weights).sum()) - self.expected
