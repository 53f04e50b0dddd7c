"""OnceSeen: how often a causal model repeats once-seen training flows, compared with real traffic.

A flow that recurs in training is part of the distribution. A model that repeats flows seen once may have memorised
them. But new real flows repeat some of them too, so only the excess over their share counts. Good and Turing's estimate
(Good, Biometrika 40, 1953) gives that share from the training data alone, so that no flows need to be held back.

That estimate is for new flows of the training captures. Flows of other captures repeat less: on the bundled flows half
as much. Where flows name their captures, each capture in turn is therefore compared with all others, and the estimate
is the mean of both shares. Training cannot know which kind of flows the model is for.

N flows cannot tell a share below 1 / N from none, and of few or long flows often none occurs twice. So the estimate is
1 / N at least. Otherwise a model could repeat nothing, however improbable, and training would end after one epoch.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hf_ntg.codecs.flow_grammar import FlowGrammar
from hf_ntg.codecs.tokenization_flow import EncodedFlows
from hf_ntg.flows.arrays import text_ranks
from hf_ntg.training.distinct import distinct_rows

__all__ = ["OnceSeen"]

MOST_MEASURED = 512  # number of once-seen flows whose probability is computed; a random sample


class OnceSeen:
    """The training flows whose class and packets occur once.

    Args:
        sentences: (S, L) distinct padded sentences. row: (N,) sentence of each training flow. pad: the padding token.
        captures: (N,) capture of each training flow; None where they are not known.

    Attributes:
        expected: estimated share of new real flows that repeat a once-seen flow: 2 * (flows seen twice) / (all flows),
            or the mean of that and :func:`_repeats_of_other_captures` where there are two captures or more; at least
            1 / (all flows).
    """

    def __init__(
        self,
        grammar: FlowGrammar,
        sentences: np.ndarray,
        row: np.ndarray,
        pad: int,
        captures: np.ndarray | None = None,
    ) -> None:
        self._pad = pad
        ends = sentences == grammar.end_of_packets
        past = ends.cumsum(axis=1, dtype=np.int8) > ends
        packets = np.where(past, np.int32(pad), sentences)  # without what follows their end
        packets[:, 1 : grammar.prefix_length] = pad  # without the header
        first, place = distinct_rows(packets)
        identity = place[row]  # (N,)
        occurrences = np.bincount(identity)
        self.expected = 2.0 * (occurrences == 2).sum() / len(row)
        if captures is not None and (numbers := text_ranks(captures)).any():
            self.expected = (self.expected + _repeats_of_other_captures(identity, numbers)) / 2
        self.expected = max(self.expected, 1 / len(row))
        once = first[occurrences == 1]
        chosen = np.random.default_rng(0).permutation(once)[:MOST_MEASURED]
        self._sentences = sentences[chosen]
        label_share = np.bincount(sentences[row, 0]) / len(row)
        self._weights = label_share[self._sentences[:, 0]] * len(once) / max(1, len(chosen))

    def copies(self, log_likelihood: Callable[[EncodedFlows], np.ndarray]) -> float:
        """Share of a model's flows that repeat a once-seen flow.

        Args:
            log_likelihood: natural logarithms of the probabilities, given their labels, of the header and packets of n
                sentences, with the grammar of the sampler: (n,) nats.
        """
        if not len(self._sentences):
            return 0.0
        held = self._sentences != self._pad
        offsets = np.concatenate([[0], np.cumsum(held.sum(axis=1))])
        encoded = EncodedFlows(self._sentences[held], offsets)
        return float((np.exp(log_likelihood(encoded)) * self._weights).sum())


def _repeats_of_other_captures(identity: np.ndarray, captures: np.ndarray) -> float:
    """Share of flows that all other captures together hold exactly once, from flows' identities and captures (N,)."""
    _, pair, own = np.unique(identity * (captures.max() + 1) + captures, return_inverse=True, return_counts=True)
    return float((np.bincount(identity)[identity] - own[pair] == 1).mean())
