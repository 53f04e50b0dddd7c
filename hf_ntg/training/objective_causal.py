"""Next-token training of the causal models on flow sentences."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize
from transformers import PreTrainedModel

from hf_ntg.codecs.flow_grammar import FlowGrammar
from hf_ntg.codecs.tokenization_flow import EncodedFlows, FlowTokenizer
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.view import flows_in_view
from hf_ntg.models.causal_lm import build_causal_lm
from hf_ntg.models.likelihood import sentence_log_likelihood
from hf_ntg.models.structured_embedding import share_structure, stock_state
from hf_ntg.models.warm_start import start_from
from hf_ntg.training.config import TrainingConfig
from hf_ntg.training.distinct import distinct_rows
from hf_ntg.training.memory import OnceSeen
from hf_ntg.training.objective import Objective
from hf_ntg.training.softmax_loss import softmax_loss

__all__ = ["CausalObjective", "nats_per_flow"]

SAMPLED_TOKENS = 128  # number of forbidden tokens that are scored where few tokens are allowed
LENGTH_GROUPS = 4  # a batch is computed in at most this many parts, each padded to its own longest sentence


class CausalObjective(Objective):
    """Cross-entropy of every token after the label.

    Equal sentences are stored once and computed once per batch, weighted by their count. The gradient is the same.
    """

    unit = "nats per flow"
    module: _CausalLoss

    def __init__(
        self, config: TrainingConfig, flows: Dataset | FlowArrays, validation: Dataset | FlowArrays | None
    ) -> None:
        flows, _ = flows_in_view(flows, config.view)
        self.tokenizer = FlowTokenizer.fit(
            flows,
            max_packets=config.max_packets,
            max_payload=config.max_payload,
            header=config.header,
            times=config.times,
            time_bins=config.time_bins,
        )
        grammar = self.tokenizer.grammar
        encoded = self.tokenizer.encode_flows(flows)
        marked = np.column_stack([encoded.padded(), _unknown_ends(encoded, grammar).astype(np.int32)])
        first, self._row = distinct_rows(marked)
        sentences, self._unknown = marked[first, :-1], marked[first, -1]  # (S, longest) int32, padded; (S,)
        del marked
        self._sentences = sentences
        self._lengths = (sentences != self.tokenizer.pad_token_id).sum(axis=1)  # (S,)
        known = flows.capture is not None and all(name is not None for name in flows.capture)
        captures = flows.capture if known else None
        self._once_seen = OnceSeen(grammar, sentences, self._row, self.tokenizer.pad_token_id, captures)
        token_weight = np.ones(len(self.tokenizer), dtype=np.float32)
        token_weight[grammar.blocks["time"]] = config.time_weight
        token_weight[grammar.blocks["pad"]] = 0
        weights = token_weight[sentences[:, 1:]].sum(axis=1, dtype=np.float64) - (self._unknown > 0)
        self.num_examples, self.mean_weight = len(self._row), weights[self._row].mean().item()
        self._validation = None if validation is None else self.tokenizer.encode_flows(validation)
        model = build_causal_lm(config.model, self.tokenizer, config.dropout, config.seed, config.width, config.layers)
        if config.initial_model is not None:
            start_from(model, self.tokenizer, config.initial_model)
        if config.structured:
            share_structure(model, grammar, config.seed, fresh=config.initial_model is None)
        self.module = _CausalLoss(model, grammar, torch.from_numpy(token_weight))

    def collate(self, rows: np.ndarray, rng: np.random.Generator) -> dict[str, Tensor]:
        distinct, counts = np.unique(self._row[rows], return_counts=True)
        order = np.argsort(self._lengths[distinct], kind="stable")
        batch = self._sentences[distinct[order], : self._lengths[distinct].max()]
        return {
            "sentences": torch.from_numpy(batch.astype(np.int64)),
            "counts": torch.from_numpy(counts[order].astype(np.float32)),
            "unknown": torch.from_numpy(self._unknown[distinct[order]].astype(np.int64)),
            "sampled": self.module.sample_tokens(rng),
        }

    def validation_loss(self, module: nn.Module) -> float:
        assert isinstance(module, _CausalLoss)
        assert self._validation is not None
        unknown = _unknown_ends(self._validation, self.tokenizer.grammar)
        return float(nats_per_flow(module.model, self._validation.padded(), unknown).mean())

    def memory(self, module: nn.Module) -> tuple[float, float]:
        assert isinstance(module, _CausalLoss)
        model, grammar = module.model, self.tokenizer.grammar
        copies = self._once_seen.copies(lambda rows: sentence_log_likelihood(model, grammar, rows, times=False))
        return copies, self._once_seen.expected

    def save(self, module: nn.Module, folder: Path) -> None:
        assert isinstance(module, _CausalLoss)
        module.model.save_pretrained(folder, state_dict=stock_state(module.model))
        self.tokenizer.save_pretrained(folder)


class _CausalLoss(nn.Module):
    """The model with its loss inside, so that data-parallel wrappers see one call.

    Packets are scored against the whole vocabulary. Header facts and times have few choices. They are scored against
    these and a random sample of all other tokens, and each sampled token is weighted for the tokens it represents.
    The network still learns that no packet belongs there, at a tenth of the cost.
    """

    token_weight: Tensor

    def __init__(self, model: PreTrainedModel, grammar: FlowGrammar, token_weight: Tensor) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("token_weight", token_weight, persistent=False)
        blocks = grammar.blocks
        choices = [slice(blocks["protocol"].start, blocks["port"].stop), slice(blocks["time"].start, grammar.eos + 1)]
        self.few = [span for span in choices if span.stop - span.start > 1]
        self.packets = slice(grammar.end_of_packets, len(token_weight))

    def sample_tokens(self, rng: np.random.Generator) -> Tensor:
        """Random forbidden tokens for each kind of place with few choices: (kinds, at most SAMPLED_TOKENS)."""
        vocabulary = len(self.token_weight)
        rows = [rng.permutation(np.delete(np.arange(vocabulary), span))[:SAMPLED_TOKENS] for span in self.few]
        shortest = min(map(len, rows), default=0)
        return torch.from_numpy(np.array([row[:shortest] for row in rows], dtype=np.int64))

    def forward(self, sentences: Tensor, counts: Tensor, unknown: Tensor, sampled: Tensor) -> Tensor:
        """Sum of the cross-entropies of padded sentences (B, L), weighted by `counts` (B,).

        Sentences sorted by length cost least, since each part of the batch is padded to its longest sentence.

        Args:
            unknown: (B,) place of a token of each sentence without loss, 0 for none: the end of the packets of a flow
                that was cut.
            sampled: (kinds, n) forbidden tokens, see :meth:`sample_tokens`.
        """
        with parametrize.cached():  # a structured embedding is summed once a step
            return self._loss(sentences, counts, unknown, sampled)

    def _loss(self, sentences: Tensor, counts: Tensor, unknown: Tensor, sampled: Tensor) -> Tensor:
        """Weighted sum of cross-entropies; arguments as for :meth:`forward`."""
        parts = _cut_to_length(sentences, self.model.config.pad_token_id)
        targets = torch.cat([part[:, 1:].flatten() for part in parts])  # (M,)
        hidden = torch.cat([_hidden_states(self.model, part).flatten(0, 1) for part in parts])  # (M, W)
        shares = counts.split([len(part) for part in parts])
        repeats = [share.repeat_interleave(part.shape[1] - 1) for part, share in zip(parts, shares, strict=True)]
        places = unknown.split([len(part) for part in parts])
        left_out = torch.cat([_at(place, part).flatten() for place, part in zip(places, parts, strict=True)])
        weights = self.token_weight[targets] * torch.cat(repeats) * ~left_out
        head: Any = self.model.get_input_embeddings().weight  # tied with the output embedding
        rows = _within(targets, self.packets)
        loss = softmax_loss(hidden[rows], head, targets[rows], weights[rows])
        for span, others in zip(self.few, sampled, strict=True):
            rows, width = _within(targets, span), span.stop - span.start
            scored = torch.cat([torch.arange(span.start, span.stop, device=others.device), others])
            bias = torch.zeros(len(scored), device=others.device)
            bias[width:] = math.log((len(self.token_weight) - width) / len(others))
            loss = loss + softmax_loss(hidden[rows], head[scored], targets[rows] - span.start, weights[rows], bias)
        return loss


def _cut_to_length(sentences: Tensor, pad: int) -> list[Tensor]:
    """Padded sentences (B, L) in at most `LENGTH_GROUPS` parts, in order, without columns that are all padding."""
    lengths = (sentences != pad).sum(dim=1)
    size = -(-len(sentences) // LENGTH_GROUPS)
    longest = [part.max().item() for part in lengths.split(size)]
    parts, start = [], 0
    for group, length in enumerate(longest):
        if group + 1 == len(longest) or longest[group + 1] != length:
            stop = (group + 1) * size
            parts.append(sentences[start:stop, :length])
            start = stop
    return parts


def _at(places: Tensor, sentences: Tensor) -> Tensor:
    """Which targets of `sentences` (B, L) are at `places` (B,): (B, L - 1) bool. Place 0 is not a target."""
    return torch.arange(1, sentences.shape[1], device=sentences.device) == places[:, None]


def _within(tokens: Tensor, span: slice) -> Tensor:
    return torch.nonzero((tokens >= span.start) & (tokens < span.stop))[:, 0]


def _unknown_ends(encoded: EncodedFlows, grammar: FlowGrammar) -> np.ndarray:
    """(N,) place of the token that ends the packets of a flow that was cut, 0 for other flows."""
    if encoded.cut is None:
        return np.zeros(len(encoded), dtype=np.int64)
    return np.where(encoded.cut, (encoded.padded() == grammar.end_of_packets).argmax(axis=1), 0)


@torch.no_grad()
def nats_per_flow(
    model: PreTrainedModel, sentences: np.ndarray, unknown: np.ndarray | None = None, batch_size: int = 512
) -> np.ndarray:
    """Negative log-likelihood of padded `sentences` (N, L) given their labels: (N,) nats.

    Args:
        unknown: (N,) place of a token of each sentence that does not count, 0 for none.
    """
    was_training = model.training
    model.eval()
    pad, losses = model.config.pad_token_id, []
    for start in range(0, len(sentences), batch_size):
        batch = torch.from_numpy(sentences[start : start + batch_size]).to(model.device).long()
        counts = batch[:, 1:] != pad
        if unknown is not None:
            counts &= ~_at(torch.from_numpy(unknown[start : start + batch_size]).to(model.device), batch)
        losses.append((_token_losses(model, batch) * counts).sum(dim=1).double().cpu())
    model.train(was_training)
    return torch.cat(losses).numpy()


def _token_losses(model: PreTrainedModel, sentences: Tensor) -> Tensor:
    targets = sentences[:, 1:]
    logits = model.get_output_embeddings()(_hidden_states(model, sentences))  # (B, L - 1, V)
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view_as(targets)


def _hidden_states(model: PreTrainedModel, sentences: Tensor) -> Tensor:
    """Last hidden states of padded sentences (B, L), without the last token: (B, L - 1, W)."""
    # Padding is on the right and the models are causal. No attention mask is needed; padding can be any real token.
    inputs = sentences[:, :-1].masked_fill(sentences[:, :-1] == model.config.pad_token_id, model.config.eos_token_id)
    return model.base_model(input_ids=inputs, use_cache=False).last_hidden_state
