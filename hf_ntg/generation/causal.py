"""Flows from a causal language model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from transformers import PreTrainedModel

from hf_ntg.codecs.tokenization_flow import FlowTokenizer
from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.generation.generator import FlowGenerator
from hf_ntg.generation.likelihood import sentence_log_likelihood
from hf_ntg.generation.prefix_tree import sample_sentences

__all__ = ["CausalFlowGenerator"]


class CausalFlowGenerator(FlowGenerator):
    """Draws sentences from `model` by its prefix tree and reads them with `tokenizer`."""

    options = ("temperature",)

    def __init__(self, source: Path, model: PreTrainedModel, tokenizer: FlowTokenizer) -> None:
        grammar = tokenizer.grammar
        super().__init__(source, list(grammar.labels), np.array(grammar.label_counts, dtype=np.float64))
        self.model, self.tokenizer = model, tokenizer

    @property
    def device(self) -> torch.device:
        return self.model.device

    def draw(self, classes: np.ndarray, seed: int, block: int, temperature: float = 1.0) -> FlowArrays:
        """Draw one flow for each of `classes`; a `temperature` below 1 favours what is likely, above 1 what is not."""
        if temperature <= 0:
            raise InputError(f"temperature {temperature}: must be above 0")
        grammar = self.tokenizer.grammar
        stream = np.random.Generator(np.random.Philox(key=np.array([seed, block], dtype=np.uint64)))
        uniforms = stream.random((len(classes), grammar.max_tokens))
        sentences = sample_sentences(self.model, grammar, classes, uniforms, temperature)
        return self.tokenizer.decode_flows(sentences, [seed, block])

    def log_likelihood(self, flows: Dataset | FlowArrays, packets_only: bool = False) -> np.ndarray:
        """Natural log of the probability of each flow given its label: (N,); see :func:`sentence_log_likelihood`.

        Raises:
            InputError: a class is not one of the model's, or a column that it knows is missing.
        """
        sentences = self.tokenizer.encode_flows(flows)
        return sentence_log_likelihood(self.model, self.tokenizer.grammar, sentences, packets_only)
