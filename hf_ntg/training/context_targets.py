"""ContextTargets: what followed the same context in the training flows, as soft targets for a causal model's packets.

A training flow shows one packet after each context. Other flows of the class that share the last packets show what else
may follow. A model that learns a part of every target from them gets the shares of rare packets right sooner, and it
repeats single flows less. This is label smoothing toward an n-gram instead of a uniform distribution.
"""

from __future__ import annotations

import numpy as np

from hf_ntg.codecs.flow_grammar import FlowGrammar

__all__ = ["ContextTargets"]

ORDERS = (1, 2)  # numbers of preceding packets in a context; each order gives the same part of a target
_NO_PACKET, _NO_LOSS = -1, -2


class ContextTargets:
    """Distributions of the next packet, or of the end of the packets, by context: class, place and the last packets.

    Args:
        sentences: (S, L) distinct padded sentences.
        weights: (S, L - 1) number of training flows that have each target; 0 for a target without loss.
        smoothing: the part of a target that comes from its contexts.
    """

    def __init__(self, sentences: np.ndarray, weights: np.ndarray, grammar: FlowGrammar, smoothing: float) -> None:
        packets = sentences[:, 1:] >= grammar.end_of_packets
        contexts = np.where(packets, _NO_LOSS, _NO_PACKET).astype(np.int32)
        self._contexts = np.repeat(contexts[..., None], len(ORDERS), axis=2)  # (S, L - 1, orders)
        sizes, tokens, shares, known = [np.zeros(1, dtype=np.int64)], [], [], 0
        for place in range(grammar.prefix_length, sentences.shape[1]):
            targets, weight = sentences[:, place], weights[:, place - 1]
            rows = np.flatnonzero(packets[:, place - 1] & (weight > 0))
            for k, order in enumerate(ORDERS):
                past = range(max(grammar.prefix_length, place - order), place)
                _, context = np.unique(sentences[rows][:, [0, *past]], axis=0, return_inverse=True)
                events = np.stack([context.ravel(), targets[rows]])
                events, event = np.unique(events, axis=1, return_inverse=True)
                count = np.bincount(event.ravel(), weights=weight[rows], minlength=events.shape[1])
                total = np.bincount(events[0], weights=count)
                self._contexts[rows, place - 1, k] = known + context.ravel()
                known += len(total)
                sizes.append(np.bincount(events[0]))
                tokens.append(events[1])
                shares.append(smoothing / len(ORDERS) * count / total[events[0]])
        self._offsets = np.cumsum(np.concatenate(sizes))  # (C + 1,) where the tokens of each context begin
        self._tokens = np.concatenate(tokens)  # (E,)
        self._shares = np.concatenate(shares).astype(np.float32)  # (E,)

    def of(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The soft targets of all packets and ends of packets of the sentences `rows`, sentence after sentence.

        Returns:
            ``offsets`` (M + 1,) of the M targets, ``tokens`` (E,) and their ``shares`` (E,), float32. The shares of a
            target sum to the smoothing, or there are none where it has no loss.
        """
        contexts = self._contexts[rows]
        flat = contexts[contexts[..., 0] != _NO_PACKET].ravel()  # (M * orders,)
        first = self._offsets[flat]
        sizes = np.where(flat >= 0, self._offsets[flat + 1] - first, 0)
        ends = np.concatenate([[0], np.cumsum(sizes)])
        entries = np.arange(ends[-1]) + np.repeat(first - ends[:-1], sizes)
        return ends[:: len(ORDERS)], self._tokens[entries], self._shares[entries]
