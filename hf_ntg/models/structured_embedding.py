"""Embeddings of numbers with shared structure, for training: a row is a free vector plus a projection of features.

A vocabulary has a row for every payload length in both directions. Most lengths are rare in training or absent. With
shared features, learning about one length also updates its neighbours and lengths with the same remainder. The sum of
both parts is an ordinary embedding matrix, and this sum is saved.

Related work: sinusoidal features of numbers, as in FoNE (Zhou et al., arXiv 2502.09741).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from transformers import PreTrainedModel

from hf_ntg.codecs.flow_grammar import FlowGrammar

__all__ = ["number_features", "share_structure", "stock_state"]

INITIAL_SPREAD = 0.02  # standard deviation of a fresh projection, the same as in the models' matrices
POWERS = range(1, 11)  # a length's remainders modulo 2, 4, …, 1,024 are features
LOG_FREQUENCIES = np.linspace(0.5, 6.0, 8)  # of the sines and cosines of a logarithm
ORDINAL_FREQUENCIES = range(1, 9)  # half periods over all time bins


def share_structure(model: PreTrainedModel, grammar: FlowGrammar, seed: int = 0, fresh: bool = True) -> None:
    """Let the tied embedding of `model` be a free matrix plus ``number_features(grammar) @ projection``, in place.

    Args:
        seed: of the initial projection.
        fresh: start with a random projection; otherwise with zeros, so that the model's function stays what it is.
    """
    embedding: Any = model.get_input_embeddings()
    head: Any = model.get_output_embeddings()
    if embedding.weight is not head.weight:
        raise ValueError("structured embeddings need a model whose input and output embeddings are tied")
    features = torch.from_numpy(number_features(grammar)).to(embedding.weight)
    structure = _AddedStructure(features, embedding.weight.shape[1])
    if fresh:
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randn(structure.projection.shape, generator=generator) * INITIAL_SPREAD
        structure.projection.data.copy_(drawn)
    # The head gets the same structure, so that both tied weights are the sum.
    parametrize.register_parametrization(embedding, "weight", structure)
    parametrize.register_parametrization(head, "weight", structure)


def stock_state(model: PreTrainedModel) -> dict[str, Tensor]:
    """The weights of `model` in the format of its stock class: the embedding is one matrix, the sum of its parts.

    Pass it to ``save_pretrained`` as ``state_dict``. It shares memory with `model`, except for the sum.
    """
    plain = {name: weight for name, weight in model.state_dict().items() if ".parametrizations." not in name}
    if not parametrize.is_parametrized(model.get_input_embeddings(), "weight"):
        return plain
    embedding: Any = model.get_input_embeddings()
    whole = embedding.weight.detach()
    names = [name for name, module in model.named_modules() if parametrize.is_parametrized(module, "weight")]
    return plain | {f"{name}.weight": whole for name in names}


def number_features(grammar: FlowGrammar) -> np.ndarray:
    """Features of every word of `grammar`: (V, K) float32, zero for words that are no numbers.

    A packet has a constant, sines and cosines of the logarithm of its length, and sines and cosines of its length with
    periods of powers of two. Each direction has its own columns. A time bin has a constant, and sines and cosines of
    its place among the bins and of the logarithm of its times. The bin of zero has its own constant.
    """
    blocks = grammar.blocks
    vocabulary = blocks["packet"].stop
    length = _length_features(grammar.lengths)  # (L, F)
    columns = [np.zeros((vocabulary, length.shape[1])) for _ in range(2)]
    for direction, part in enumerate(columns):
        first = blocks["packet"].start + direction * len(length)
        part[first : first + len(length)] = length
    if grammar.has_times:
        time = _time_features(grammar)
        part = np.zeros((vocabulary, time.shape[1]))
        part[blocks["time"]] = time
        columns.append(part)
    return np.concatenate(columns, axis=1).astype(np.float32)


def _length_features(lengths: np.ndarray) -> np.ndarray:
    """(L,) payload lengths to (L, F)."""
    periods = 2.0 ** np.array(POWERS)
    angles = [np.log1p(lengths)[:, None] * LOG_FREQUENCIES, 2 * np.pi * lengths[:, None] / periods]
    return _with_constant(np.concatenate(angles, axis=1))


def _time_features(grammar: FlowGrammar) -> np.ndarray:
    """Features of the time bins: (bins, F)."""
    edges = grammar.time_bins.edges
    place = np.arange(1, len(edges) + 1) / len(edges)
    angles = [np.log(edges)[:, None] * LOG_FREQUENCIES, np.pi * place[:, None] * np.array(ORDINAL_FREQUENCIES)]
    positive = _with_constant(np.concatenate(angles, axis=1))  # (bins - 1, F)
    features = np.zeros((len(edges) + 1, positive.shape[1] + 1))
    features[0, 0] = 1.0
    features[1:, 1:] = positive
    return features


def _with_constant(angles: np.ndarray) -> np.ndarray:
    return np.concatenate([np.ones((len(angles), 1)), np.sin(angles), np.cos(angles)], axis=1)


class _AddedStructure(nn.Module):
    """Parametrization of an embedding (V, W): the free matrix plus ``features @ projection``."""

    features: Tensor  # (V, K)

    def __init__(self, features: Tensor, width: int) -> None:
        super().__init__()
        self.register_buffer("features", features, persistent=False)
        self.projection = nn.Parameter(features.new_zeros(features.shape[1], width))  # (K, W)

    def forward(self, free: Tensor) -> Tensor:
        # Full precision under autocast too: after rounding, neighbouring lengths would no longer differ.
        with torch.autocast(free.device.type, enabled=False):
            return torch.addmm(free, self.features, self.projection)
