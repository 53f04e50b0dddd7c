"""How likely a causal model holds given flows to be, under the grammar that its sampler obeys."""

from __future__ import annotations

import numpy as np
import torch
from transformers import PreTrainedModel

from hf_ntg.codecs.flow_grammar import FlowGrammar
from hf_ntg.codecs.tokenization_flow import EncodedFlows

__all__ = ["sentence_log_likelihood"]

MAX_SCORES = 16_000_000  # entries of a score matrix held at once


def sentence_log_likelihood(
    model: PreTrainedModel, grammar: FlowGrammar, sentences: EncodedFlows, packets_only: bool = False
) -> np.ndarray:
    """Natural log of the probability of each sentence given its label: (N,) float64 nats.

    Every token's share is that among the tokens that the grammar allows in its place, as when flows are drawn: these
    are the log-probabilities of the sampler at temperature 1. Sentences of one length are laid out alike, and are
    evaluated together, equal ones once.

    Args:
        packets_only: count the packets and their end alone, given the label and the header tokens.
    """
    found = np.empty(len(sentences))
    was_training = model.training
    model.eval()
    for length in np.unique(sentences.lengths):
        rows = np.flatnonzero(sentences.lengths == length)
        ids = sentences.ids[sentences.offsets[rows][:, None] + np.arange(length)]  # (n, length)
        distinct, place = np.unique(ids, axis=0, return_inverse=True)
        found[rows] = _of_one_length(model, grammar, distinct, packets_only)[place.ravel()]
    model.train(was_training)
    return found


@torch.inference_mode()
def _of_one_length(model: PreTrainedModel, grammar: FlowGrammar, ids: np.ndarray, packets_only: bool) -> np.ndarray:
    spans = _spans(grammar, ids.shape[1], packets_only)
    head = model.get_output_embeddings().weight  # (V, W)
    batch = max(1, MAX_SCORES // (ids.shape[1] * len(head)))
    totals = []
    for start in range(0, len(ids), batch):
        part = torch.from_numpy(ids[start : start + batch]).to(head.device).long()
        hidden = model.base_model(input_ids=part[:, :-1], use_cache=False).last_hidden_state  # (b, length - 1, W)
        total = torch.zeros(len(part), dtype=torch.float64, device=head.device)
        for first, last, allowed in spans:
            shares = (hidden[:, first - 1 : last - 1] @ head[allowed].T).log_softmax(dim=-1)
            total += shares.gather(2, part[:, first:last, None] - allowed.start).sum(dim=(1, 2), dtype=torch.float64)
        totals.append(total)
    return torch.cat(totals).cpu().numpy()


def _spans(grammar: FlowGrammar, length: int, packets_only: bool) -> list[tuple[int, int, slice]]:
    """Where in a sentence of `length` tokens which slice of the vocabulary is allowed: (first, last, slice) each.

    Places where only one token is allowed are left out: it is certain.
    """
    body = length - grammar.prefix_length - 1
    packets = body // 2 if grammar.has_times else body
    start = grammar.prefix_length
    spans = [(start, start + 1, grammar.allowed_packets(0)), (start + 1, start + packets, grammar.allowed_packets(1))]
    if packets < grammar.max_packets:
        spans.append((start + packets, start + packets + 1, grammar.allowed_packets(packets)))
    if grammar.has_header and not packets_only:
        spans += [(1, 2, grammar.blocks["protocol"]), (2, 3, grammar.blocks["port"])]
    if grammar.has_times and not packets_only:
        spans.append((start + packets + 1, length - 1, grammar.blocks["time"]))
    return [span for span in spans if span[1] > span[0]]
