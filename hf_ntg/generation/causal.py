"""CausalSampler: draws flows from a causal language model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from transformers import PreTrainedModel

from hf_ntg.codecs.tokenization_flow import FlowTokenizer
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.generation.prefix_tree import SHORT, nodes_at_once, sample_sentences
from hf_ntg.models.flow_streams import flow_points
from hf_ntg.models.likelihood import sentence_log_likelihood
from hf_ntg.ranges import DRAWING

__all__ = ["CausalSampler"]


class CausalSampler:
    """Draws sentences from `model` by the prefix tree, and decodes them with `tokenizer`.

    Attributes:
        max_nodes: prefixes that the model evaluates at once. The flows do not depend on it.
    """

    block_size = 32_768
    options: tuple[str, ...] = ("temperature", "times")

    def __init__(self, model: PreTrainedModel, tokenizer: FlowTokenizer) -> None:
        self.model, self.tokenizer = model, tokenizer
        if tokenizer.grammar.max_tokens > SHORT:
            self.block_size = max(1, self.block_size * SHORT // tokenizer.grammar.max_tokens)
        self.max_nodes = nodes_at_once(model.device, tokenizer.grammar.max_tokens)
        self.labels: list[str | None] = list(tokenizer.grammar.labels)
        self.view, self.max_packets = tokenizer.grammar.view, tokenizer.grammar.max_packets
        counts = np.array(tokenizer.grammar.label_counts, dtype=np.float64)
        self.label_weights = counts / counts.sum()

    @property
    def name(self) -> str:
        """Name of the family: ``gpt2``, ``llama`` or ``mamba``."""
        return self.model.config.model_type

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.model.device

    def save_pretrained(self, folder: Path) -> None:
        """Write weights, tokenizer and grammar into `folder`."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def draw(
        self, classes: np.ndarray, seed: int, first: int, temperature: float = 1.0, times: bool = True
    ) -> FlowArrays:
        """Draw one flow for each of `classes` (N,).

        Args:
            seed, first: see :meth:`hf_ntg.generation.sampler.Sampler.draw`.
            temperature: scores are divided by it. Below 1 likely flows become likelier, above 1 less likely.
            times: draw inter-arrival times, if the model learned them. Without, drawing is several times as fast, and
                the packets are the same.

        Raises:
            InputError: the temperature is not in its range.
        """
        DRAWING["temperature"].check("temperature", temperature)
        grammar, tokens = self.tokenizer.grammar, self.tokenizer.grammar.max_tokens
        uniforms = flow_points(seed, first, len(classes), tokens, tokens + self.tokenizer.draws_per_flow)
        sentences = sample_sentences(
            self.model, grammar, classes, uniforms[:, :tokens], temperature, self.max_nodes, times
        )
        flows = self.tokenizer.decode_flows(sentences, uniforms=uniforms[:, tokens:])
        return flows if times else replace(flows, inter_arrival_time=None)

    def log_likelihood(self, flows: Dataset | FlowArrays, packets_only: bool = False) -> np.ndarray:
        """Natural logarithm of the probability of each flow given its label: (N,) nats.

        See :func:`~hf_ntg.models.likelihood.sentence_log_likelihood`.

        Raises:
            InputError: the model does not know a class, or a column that it learned is missing.
        """
        sentences = self.tokenizer.encode_flows(flows)
        return sentence_log_likelihood(self.model, self.tokenizer.grammar, sentences, packets_only)
