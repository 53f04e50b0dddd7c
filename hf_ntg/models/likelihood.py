"""Log-likelihood of given flows under a causal model, with the grammar of its sampler."""

from __future__ import annotations

import numpy as np
import torch
from transformers import PreTrainedModel

from hf_ntg.codecs.flow_grammar import FlowGrammar
from hf_ntg.codecs.tokenization_flow import EncodedFlows

__all__ = ["sentence_log_likelihood"]

MAX_SCORES = 16_000_000  # entries of a score matrix held at once


def sentence_log_likelihood(
    model: PreTrainedModel,
    grammar: FlowGrammar,
    sentences: EncodedFlows,
    packets_only: bool = False,
    times: bool = True,
) -> np.ndarray:
    """Natural log of the probability of each sentence given its label: (N,) float64 nats.

    A token's probability is its share among the tokens that the grammar allows in its place. These are the
    log-probabilities of the sampler at temperature 1, with two exceptions. A protocol that the model was not trained on
    has the probability of ``proto:other``, which the sampler never draws. If a flow was cut, the end of its packets
    does not count.

    Sentences of one length are evaluated together, and equal ones only once.

    Args:
        packets_only: count only the packets and their end, given the label and the header tokens.
        times: count the times too, where the grammar has them.
    """
    found = np.empty(len(sentences))
    cut = np.zeros(len(sentences), dtype=bool) if sentences.cut is None else sentences.cut
    was_training = model.training
    model.eval()
    layouts, layout = np.unique(np.stack([sentences.lengths, cut]), axis=1, return_inverse=True)
    for number, (length, is_cut) in enumerate(layouts.T.tolist()):
        rows = np.flatnonzero(layout.ravel() == number)
        ids = sentences.ids[sentences.offsets[rows][:, None] + np.arange(length)]  # (n, length)
        distinct, place = np.unique(ids, axis=0, return_inverse=True)
        spans = _spans(grammar, length, ends=not is_cut, header=not packets_only, times=times and not packets_only)
        found[rows] = _of_one_layout(model, grammar, distinct, spans)[place.ravel()]
    model.train(was_training)
    return found


@torch.inference_mode()
def _of_one_layout(
    model: PreTrainedModel, grammar: FlowGrammar, ids: np.ndarray, spans: list[tuple[int, int, slice]]
) -> np.ndarray:
    """Log-probabilities, (N,) nats, of sentences `ids` (N, length) that share `spans`, see :func:`_spans`."""
    head = model.get_output_embeddings().weight  # (V, W)
    batch = max(1, MAX_SCORES // (ids.shape[1] * len(head)))
    totals = []
    for start in range(0, len(ids), batch):
        part = torch.from_numpy(ids[start : start + batch]).to(head.device).long()
        hidden = model.base_model(input_ids=part[:, :-1], use_cache=False).last_hidden_state  # (b, length - 1, W)
        total = torch.zeros(len(part), dtype=torch.float64, device=head.device)
        for first, last, allowed in spans:
            scores = hidden[:, first - 1 : last - 1] @ head[allowed].T
            shares = scores.log_softmax(dim=-1)
            if allowed == grammar.blocks["protocol"]:  # proto:other is normalised over all, known ones without it
                known = grammar.known_protocols.start - allowed.start
                shares[:, :, known:] = scores[:, :, known:].log_softmax(dim=-1)
            total += shares.gather(2, part[:, first:last, None] - allowed.start).sum(dim=(1, 2), dtype=torch.float64)
        totals.append(total)
    return torch.cat(totals).cpu().numpy()


def _spans(grammar: FlowGrammar, length: int, ends: bool, header: bool, times: bool) -> list[tuple[int, int, slice]]:
    """The slice of the vocabulary that is allowed at each place of a sentence of `length` tokens.

    Each is (first place, last place, slice), the last place exclusive. Places where only one token is allowed are left
    out, because it is certain, and so is the end of the packets unless it `ends` them. `header` and `times` say whether
    these tokens count.
    """
    body = length - grammar.prefix_length - 1
    packets = body // 2 if grammar.has_times else body
    start = grammar.prefix_length
    spans = [(start, start + 1, grammar.allowed_packets(0)), (start + 1, start + packets, grammar.allowed_packets(1))]
    if ends and packets < grammar.max_packets:
        spans.append((start + packets, start + packets + 1, grammar.allowed_packets(packets)))
    if grammar.has_header and header:
        spans += [(1, 2, grammar.blocks["protocol"]), (2, 3, grammar.blocks["port"])]
    if grammar.has_times and times:
        spans.append((start + packets + 1, length - 1, grammar.blocks["time"]))
    return [span for span in spans if span[1] > span[0]]
