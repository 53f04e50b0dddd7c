"""CausalSampler: draws flows from a causal language model."""

from __future__ import annotations

import numpy as np
import torch
from datasets import Dataset
from transformers import PreTrainedModel

from hf_ntg.codecs.tokenization_flow import FlowTokenizer
from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.generation.likelihood import sentence_log_likelihood
from hf_ntg.generation.prefix_tree import sample_sentences

__all__ = ["CausalSampler"]


class CausalSampler:
    """Draws sentences from `model` by the prefix tree, and decodes them with `tokenizer`."""

    block_size = 32_768
    options = ("temperature",)

    def __init__(self, model: PreTrainedModel, tokenizer: FlowTokenizer) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.labels: list[str | None] = list(tokenizer.grammar.labels)
        self.view, self.max_packets = tokenizer.grammar.view, tokenizer.grammar.max_packets
        counts = np.array(tokenizer.grammar.label_counts, dtype=np.float64)
        self.label_weights = counts / counts.sum()

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.model.device

    def draw(self, classes: np.ndarray, seed: int, block: int, temperature: float = 1.0) -> FlowArrays:
        """Draw one flow for each of `classes` (N,).

        Args:
            temperature: scores are divided by it. Below 1 likely flows become likelier, above 1 less likely.

        Raises:
            InputError: the temperature is not above 0.
        """
        if temperature <= 0:
            raise InputError(f"temperature {temperature}: must be above 0")
        grammar = self.tokenizer.grammar
        stream = np.random.Generator(np.random.Philox(key=np.array([seed, block], dtype=np.uint64)))
        uniforms = stream.random((len(classes), grammar.max_tokens))
        sentences = sample_sentences(self.model, grammar, classes, uniforms, temperature)
        return self.tokenizer.decode_flows(sentences, [seed, block])

    def log_likelihood(self, flows: Dataset | FlowArrays, packets_only: bool = False) -> np.ndarray:
        """Natural logarithm of the probability of each flow given its label: (N,) nats.

        See :func:`~hf_ntg.generation.likelihood.sentence_log_likelihood`.

        Raises:
            InputError: the model does not know a class, or a column that it learned is missing.
        """
        sentences = self.tokenizer.encode_flows(flows)
        return sentence_log_likelihood(self.model, self.tokenizer.grammar, sentences, packets_only)
