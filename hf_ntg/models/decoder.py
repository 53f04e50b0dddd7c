"""Decoding of a stock causal model one token at a time, for many sequences whose caches are gathered by row.

The step calls the modules of the transformers class directly, without its cache classes, masks and dispatch. A small
model spends more time in these than in arithmetic, and their names change between versions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from hf_ntg.models.mamba_scan import mixer_step

__all__ = ["Decoder", "Memory", "make_decoder"]


ROOM = 8  # number of positions by which a cache of keys and values grows


@dataclass
class Memory:
    """The cache of n sequences of `held` tokens each: tensors with one row per sequence."""

    held: int
    tensors: list[Tensor]

    def select(self, rows: Tensor) -> Memory:
        """The cache of sequences `rows`, copied."""
        return Memory(self.held, [part.index_select(0, rows) for part in self.tensors])


class Decoder(ABC):
    """Decodes with `model`, without gradients."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.config = model.config
        self.trunk: Any = model.base_model  # modules of the transformers class

    @abstractmethod
    def empty(self, rows: int) -> Memory:
        """The cache of `rows` empty sequences."""

    @abstractmethod
    def step(self, token: Tensor, memory: Memory) -> Tensor:
        """Append `token` (n,) to the n sequences of `memory`, in place; returns the last hidden states (n, W)."""


def make_decoder(model: PreTrainedModel) -> Decoder:
    """The decoder of `model`'s family (``gpt2``, ``llama``, ``mamba``)."""
    return _DECODERS[model.config.model_type](model)


class _AttentionDecoder(Decoder):
    """Keys and values are stored in buffers that grow by `ROOM` positions, so that most appending moves nothing.

    Buffers for the longest sequence would be copied in full, filled or not, whenever rows are gathered.
    """

    def empty(self, rows: int) -> Memory:
        heads = getattr(self.config, "num_key_value_heads", self.config.num_attention_heads)
        width = getattr(self.config, "head_dim", None) or self.config.hidden_size // self.config.num_attention_heads
        like = next(self.trunk.parameters())
        shape = (rows, heads, ROOM, width)
        return Memory(0, [like.new_empty(shape) for _ in range(2 * self.config.num_hidden_layers)])

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, memory: Memory) -> Tensor:
        """Attention of one new token: query, key and value (n, heads, D) to (n, heads * D)."""
        if memory.held == memory.tensors[2 * layer].shape[2]:
            for place in (2 * layer, 2 * layer + 1):
                memory.tensors[place] = F.pad(memory.tensors[place], (0, 0, 0, ROOM))
        keys, values = memory.tensors[2 * layer : 2 * layer + 2]
        keys[:, :, memory.held] = key
        values[:, :, memory.held] = value
        seen = slice(memory.held + 1)
        grouped = query.shape[1] != keys.shape[1]
        mixed = F.scaled_dot_product_attention(
            query[:, :, None], keys[:, :, seen], values[:, :, seen], enable_gqa=grouped
        )
        return mixed.flatten(1)


class _GPT2Decoder(_AttentionDecoder):
    def step(self, token: Tensor, memory: Memory) -> Tensor:
        trunk, heads = self.trunk, self.config.num_attention_heads
        hidden = trunk.wte(token) + trunk.wpe.weight[memory.held]
        for place, block in enumerate(trunk.h):
            projected = block.attn.c_attn(block.ln_1(hidden))
            query, key, value = projected.unflatten(1, (3, heads, -1)).unbind(1)
            hidden = hidden + block.attn.c_proj(self.attend(place, query, key, value, memory))
            hidden = hidden + block.mlp(block.ln_2(hidden))
        memory.held += 1
        return trunk.ln_f(hidden)


class _LlamaDecoder(_AttentionDecoder):
    """Joins the projections of one input into one product, and uses PyTorch's fused norms."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__(model)
        blocks = self.trunk.layers
        attentions = [block.self_attn for block in blocks]
        self.joined = [_join(part.q_proj, part.k_proj, part.v_proj) for part in attentions]
        self.gates = [_join(block.mlp.gate_proj, block.mlp.up_proj) for block in blocks]

    def step(self, token: Tensor, memory: Memory) -> Tensor:
        trunk, heads = self.trunk, self.config.num_attention_heads
        hidden = trunk.embed_tokens(token)
        cosine, sine = trunk.rotary_emb(hidden, torch.full((1, 1), memory.held, device=hidden.device))
        for place, block in enumerate(trunk.layers):
            inner = F.linear(self.norm(hidden, block.input_layernorm), *self.joined[place])
            parts = inner.unflatten(1, (-1, block.self_attn.head_dim))  # (n, heads and twice those of keys, D)
            rotated, values = parts.split([heads + (parts.shape[1] - heads) // 2, (parts.shape[1] - heads) // 2], 1)
            query, key = torch.addcmul(rotated * cosine, _rotate(rotated), sine).tensor_split([heads], dim=1)
            hidden = hidden + block.self_attn.o_proj(self.attend(place, query, key, values, memory))
            gates = F.linear(self.norm(hidden, block.post_attention_layernorm), *self.gates[place])
            gate, up = gates.chunk(2, dim=-1)
            hidden = hidden + block.mlp.down_proj(block.mlp.act_fn(gate).mul_(up))
        memory.held += 1
        return self.norm(hidden, trunk.norm)

    @staticmethod
    def norm(hidden: Tensor, norm: Any) -> Tensor:
        return F.rms_norm(hidden, hidden.shape[-1:], norm.weight, norm.variance_epsilon)


class _MambaDecoder(Decoder):
    def empty(self, rows: int) -> Memory:
        config, like = self.config, next(self.trunk.parameters())
        width = config.intermediate_size
        windows = [like.new_zeros(rows, config.conv_kernel - 1, width) for _ in self.trunk.layers]
        states = [like.new_zeros(rows, config.state_size, width) for _ in self.trunk.layers]
        return Memory(0, [*windows, *states])

    def step(self, token: Tensor, memory: Memory) -> Tensor:
        trunk, layers = self.trunk, len(self.trunk.layers)
        hidden = trunk.embeddings(token)
        for place, block in enumerate(trunk.layers):
            window, state = memory.tensors[place], memory.tensors[layers + place]
            mixed, memory.tensors[place] = mixer_step(block.mixer, block.norm(hidden), window, state)
            hidden = hidden + mixed
        memory.held += 1
        return trunk.norm_f(hidden)


_DECODERS: dict[str, Callable[[PreTrainedModel], Decoder]] = {
    "gpt2": _GPT2Decoder,
    "llama": _LlamaDecoder,
    "mamba": _MambaDecoder,
}


def _join(*layers: nn.Linear) -> tuple[Tensor, Tensor | None]:
    """Weight and bias of one linear layer that equals `layers` side by side; all of them have a bias or none has."""
    biased = layers[0].bias is not None
    return torch.cat([part.weight for part in layers]), torch.cat([part.bias for part in layers]) if biased else None


def _rotate(part: Tensor) -> Tensor:
    """The rotated half of a rotary embedding: (…, D) with halves a, b becomes -b, a."""
    first, second = part.chunk(2, dim=-1)
    return torch.cat([-second, first], dim=-1)
