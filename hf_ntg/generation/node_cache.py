"""What a model remembers of the tree's nodes: one row a node, gathered by parent when the tree grows."""

from __future__ import annotations

import copy

import torch
from torch import Tensor
from transformers import Cache, DynamicCache, DynamicLayer, PreTrainedModel

from hf_ntg.models.mamba_scan import ScanStates

__all__ = ["empty_cache", "select_rows"]


def empty_cache(model: PreTrainedModel, capacity: int) -> Cache | ScanStates:
    """A cache for sentences of up to `capacity` tokens."""
    if model.config.model_type == "mamba":
        # On a GPU the official kernels keep the states their own way.
        return ScanStates() if model.device.type == "cpu" else DynamicCache(config=model.config)
    return Cache(layers=[_Slots(capacity) for _ in range(model.config.num_hidden_layers)])


def select_rows(cache: Cache | ScanStates, rows: Tensor) -> Cache | ScanStates:
    """A cache of `rows` of `cache`, which is left as it is."""
    if isinstance(cache, ScanStates):
        return cache.select(rows)
    chosen = copy.copy(cache)
    chosen.layers = []
    for layer in cache.layers:
        twin = copy.copy(layer)
        for name, states in vars(layer).items():
            if isinstance(states, dict):  # a state-space layer keeps its states in dictionaries
                setattr(twin, name, dict(states))
        twin.reorder_cache(rows)
        chosen.layers.append(twin)
    return chosen


class _Slots(DynamicLayer):
    """Keys and values in buffers made once for the longest sentence: a new token is written, nothing is moved."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.capacity, self.held = capacity, 0

    def update(self, key_states: Tensor, value_states: Tensor, *args, **kwargs) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            rows, heads, _, width = key_states.shape
            self.keys = key_states.new_empty(rows, heads, self.capacity, width)
            self.values = torch.empty_like(self.keys)
            self.is_initialized = True
        start, self.held = self.held, self.held + key_states.shape[2]
        self.keys[:, :, start : self.held] = key_states
        self.values[:, :, start : self.held] = value_states
        return self.keys[:, :, : self.held], self.values[:, :, : self.held]

    def get_seq_length(self) -> int:
        return self.held
