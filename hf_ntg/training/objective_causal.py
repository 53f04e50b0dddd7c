"""Next-token training of the causal models on flow sentences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (its usual name)
from transformers import PreTrainedModel

from hf_ntg.codecs.tokenization_flow import EncodedFlows, FlowTokenizer
from hf_ntg.models.causal_lm import build_causal_lm
from hf_ntg.training.config import TrainingConfig
from hf_ntg.training.objective import Objective

__all__ = ["CausalObjective", "nats_per_flow"]


class CausalObjective(Objective):
    """Cross-entropy of every token after the label. Sentences that recur are held once, with their count as weight."""

    unit = "nats per flow"

    def __init__(self, config: TrainingConfig, flows: Dataset, validation: Dataset | None) -> None:
        self.tokenizer = FlowTokenizer.fit(
            flows,
            max_packets=config.max_packets,
            max_payload=config.max_payload,
            header=config.header,
            times=config.times,
            time_bins=config.time_bins,
        )
        grammar = self.tokenizer.grammar
        sentences, counts = _distinct(self.tokenizer.encode_flows(flows))
        self._sentences = sentences  # (N, longest) int64, padded
        self.lengths = (sentences != self.tokenizer.pad_token_id).sum(axis=1)
        self._counts = counts
        token_weight = np.ones(len(self.tokenizer), dtype=np.float32)
        token_weight[grammar.blocks["time"]] = config.time_weight
        token_weight[grammar.blocks["pad"]] = 0
        self.weights = counts * token_weight[sentences[:, 1:]].sum(axis=1, dtype=np.float64)
        self._validation = None if validation is None else self.tokenizer.encode_flows(validation).padded()
        model = build_causal_lm(config.model, self.tokenizer, config.dropout, config.seed)
        self.module = _CausalLoss(model, torch.from_numpy(token_weight))

    def collate(self, rows: np.ndarray, rng: np.random.Generator) -> dict[str, Tensor]:
        batch = self._sentences[rows, : self.lengths[rows].max()]
        return {"sentences": torch.from_numpy(batch), "counts": torch.from_numpy(self._counts[rows])}

    def validation_loss(self, module: nn.Module) -> float:
        return float(nats_per_flow(module.model, self._validation).mean())

    def save(self, module: nn.Module, folder: Path) -> None:
        module.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


class _CausalLoss(nn.Module):
    """The model with its loss inside, so that data-parallel wrappers see one call."""

    def __init__(self, model: PreTrainedModel, token_weight: Tensor) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("token_weight", token_weight, persistent=False)

    def forward(self, sentences: Tensor, counts: Tensor) -> Tensor:
        """Weighted sum of the cross-entropies of sentences (B, L) that stand for `counts` (B,) flows each."""
        targets = sentences[:, 1:]
        losses = _token_losses(self.model, sentences)  # (B, L - 1)
        return (losses * self.token_weight[targets] * counts[:, None]).sum()


@torch.no_grad()
def nats_per_flow(model: PreTrainedModel, sentences: np.ndarray, batch_size: int = 512) -> np.ndarray:
    """Negative log-likelihood of padded `sentences` (N, L) given their labels: (N,) nats."""
    was_training = model.training
    model.eval()
    pad, losses = model.config.pad_token_id, []
    for start in range(0, len(sentences), batch_size):
        batch = torch.from_numpy(sentences[start : start + batch_size]).to(model.device).long()
        losses.append((_token_losses(model, batch) * (batch[:, 1:] != pad)).sum(dim=1).double().cpu())
    model.train(was_training)
    return torch.cat(losses).numpy()


def _token_losses(model: PreTrainedModel, sentences: Tensor) -> Tensor:
    # Padding is on the right and the models look left only: any token does there, and no attention mask is needed.
    inputs = sentences[:, :-1].masked_fill(sentences[:, :-1] == model.config.pad_token_id, model.config.eos_token_id)
    targets = sentences[:, 1:]
    logits = model(input_ids=inputs, use_cache=False).logits  # (B, L - 1, V)
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view_as(targets)


def _distinct(encoded: EncodedFlows) -> tuple[np.ndarray, np.ndarray]:
    """The distinct sentences, padded, and how often each occurs."""
    sentences, counts = np.unique(encoded.padded(), axis=0, return_counts=True)
    return sentences.astype(np.int64), counts.astype(np.float32)
