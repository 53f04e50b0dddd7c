"""Gradients of single examples of a causal model: their norms, and weighted sums of them, from one backward pass.

A parameter's gradient for one example is a sum of products of what a layer read and the gradient of what it wrote. Both
are recorded in one pass over many examples. The norm of each example's gradient follows from products between its
tokens, and a weighted sum over examples from one matrix product; no gradient of a single example is ever stored.

Source: Bu, Wang, Zha, Karypis, Differentially private optimization on large model at small cost (arXiv 2210.00038).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize
from transformers import PreTrainedModel

from hf_ntg.codecs.flow_grammar import FlowGrammar
from hf_ntg.errors import InputError

__all__ = ["ExampleGradients", "Part", "RecordingModel"]


@dataclass(frozen=True)
class Part:
    """The gradients of one parameter for B examples.

    Attributes:
        parameter: the parameter. squared: (B,) squared norms of the examples' gradients.
        weighted: the sum of the gradients, each times its entry of a vector (B,).
    """

    parameter: nn.Parameter
    squared: Tensor
    weighted: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class ExampleGradients:
    """The gradients of B examples.

    Attributes:
        losses: (B,) losses of the examples. parts: the gradients of every parameter.
    """

    losses: Tensor
    parts: list[Part]

    def norms(self) -> Tensor:
        """(B,) norm of the gradient of each example, over all parameters."""
        return torch.stack([part.squared for part in self.parts]).sum(dim=0).clamp(min=0).sqrt()

    def weighted(self, weights: Tensor) -> dict[nn.Parameter, Tensor]:
        """The sum of the gradients times `weights` (B,), by parameter."""
        return {part.parameter: part.weighted(weights) for part in self.parts}


class RecordingModel:
    """Computes the gradients of single sentences for a causal model whose embeddings are tied.

    Every token after the label has a cross-entropy against the tokens that the grammar allows there, as they are
    sampled. No parameter of the model gets a gradient by the usual way.

    Args:
        model: a GPT-2 or LLaMA model. grammar: of its sentences. token_weight: (V,) weight of the loss of each token.

    Raises:
        InputError: the model has layers whose gradients of single examples are not known.
    """

    def __init__(self, model: PreTrainedModel, grammar: FlowGrammar, token_weight: Tensor) -> None:
        self.model, self.token_weight = model, token_weight
        blocks = grammar.blocks
        first = grammar.prefix_length - 1  # place of the first packet among the targets
        self.most_packets = grammar.max_packets
        # For each kind of token its ids, and where among the targets it may be. Packets come first.
        self.kinds = [(slice(grammar.end_of_packets, len(token_weight)), slice(first, first + grammar.max_packets + 1))]
        if grammar.has_header:
            self.kinds += [(blocks["protocol"], slice(0, 1)), (blocks["port"], slice(1, 2))]
        if grammar.has_times:
            self.kinds.append((blocks["time"], slice(first + 2, None)))
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        trunk: Any = model.base_model
        self._layers: list[nn.Module] = []
        self._position: Any = getattr(trunk, "wpe", None)
        self._embedding: Any = model.get_input_embeddings()
        self._seen: dict[nn.Module, list[Tensor]] = {}
        self._embedded = token_weight
        for name, layer in trunk.named_modules():
            if layer in (self._embedding, self._position) or "parametrizations" in name:
                continue
            if next(layer.parameters(recurse=False), None) is None:
                continue
            if type(layer).__name__ not in _LAYERS:
                raise InputError(
                    f"a {model.config.model_type} cannot be trained with epsilon: its layers do not give the gradients "
                    "of single flows; choose gpt2 or llama"
                )
            self._layers.append(layer)

    def gradients(self, sentences: Tensor) -> ExampleGradients:
        """The losses of padded `sentences` (B, L) and their gradients."""
        inputs = sentences[:, :-1].masked_fill(sentences[:, :-1] == self.model.config.pad_token_id, self._eos)
        with parametrize.cached(), torch.enable_grad(), ExitStack() as hooks:
            for layer in self._layers:
                hooks.callback(layer.register_forward_hook(self._record).remove)
            hooks.callback(self._embedding.register_forward_hook(self._start).remove)
            hidden = self.model.base_model(input_ids=inputs, use_cache=False).last_hidden_state  # (B, T, W)
            matrix = self._embedding.weight.detach()  # (V, W)
        states = hidden.detach()
        losses, scored = self._head(states, matrix, sentences[:, 1:])
        grad_hidden = torch.zeros_like(states)
        for places, span, missed in scored:
            grad_hidden[:, places] += missed @ matrix[span]
        hidden.backward(grad_hidden)
        parts = [part for layer in self._layers for part in _LAYERS[type(layer).__name__](layer, *self._seen[layer])]
        first = self._embedded.grad
        assert first is not None
        if self._position is not None:
            parts.append(_position_part(self._position.weight, first))
        parts += self._embedding_parts(inputs, first, states, scored)
        return ExampleGradients(losses, parts)

    @property
    def device(self) -> torch.device:
        """The device of the model."""
        return self.model.device

    @property
    def _eos(self) -> int:
        return int(self.model.config.eos_token_id)

    def _head(self, states: Tensor, matrix: Tensor, targets: Tensor) -> tuple[Tensor, list]:
        """Losses (B,), and for each kind of token: its places, its ids, and the gradients of its scores (B, T', S)."""
        losses, scored = states.new_zeros(len(states)), []
        weights = self.token_weight.to(targets.device)[targets]
        for span, places in self.kinds:
            aims, scores = targets[:, places], states[:, places] @ matrix[span].t()  # (B, T'), (B, T', S)
            inside = (aims >= span.start) & (aims < span.stop)
            if (span, places) == self.kinds[0]:
                scores[:, 0, 0] = -torch.inf  # a flow has a first packet
                inside[:, self.most_packets :] = False  # and after the last possible one only its end
            local = torch.where(inside, aims - span.start, 0)
            counted = weights[:, places] * inside
            logs = F.log_softmax(scores, dim=2)
            right = torch.where(inside, logs.gather(2, local[:, :, None])[:, :, 0], 0.0)
            losses -= (right * counted).sum(dim=1)
            missed = logs.exp_()
            missed.scatter_add_(2, local[:, :, None], -inside[:, :, None].to(missed.dtype))
            scored.append((places, span, missed.mul_(counted[:, :, None])))
        return losses, scored

    def _embedding_parts(self, inputs: Tensor, first: Tensor, states: Tensor, scored: list) -> list[Part]:
        """The tied embedding: it is read by the inputs (B, T) and scores the outputs."""
        free, structure = _free_and_structure(self._embedding)
        gram = first @ first.mT  # (B, T, T)
        squared = (gram * (inputs[:, :, None] == inputs[:, None])).sum(dim=(1, 2))
        for places, span, missed in scored:
            kept = states[:, places]
            squared = squared + ((missed @ missed.mT) * (kept @ kept.mT)).sum(dim=(1, 2))
            known = (inputs >= span.start) & (inputs < span.stop)
            local = torch.where(known, inputs - span.start, 0)
            common = missed.gather(2, local[:, None].expand(-1, missed.shape[1], -1)) * known[:, None]  # (B, T', T)
            squared = squared + 2 * (common * (kept @ first.mT)).sum(dim=(1, 2))

        def weighted(weights: Tensor) -> Tensor:
            total = torch.zeros_like(free)
            scale = weights[:, None, None]
            total.index_add_(0, inputs.flatten(), (first * scale).flatten(0, 1))
            for places, span, missed in scored:
                total[span] += missed.flatten(0, 1).t() @ (states[:, places] * scale).flatten(0, 1)
            return total

        parts = [Part(free, squared, weighted)]
        if structure is not None:
            features = structure.features  # (V, K)
            read = features[inputs].mT @ first  # (B, K, W)
            for places, span, missed in scored:
                read = read + (missed @ features[span]).mT @ states[:, places]
            parts.append(
                Part(
                    structure.projection,
                    read.square().sum(dim=(1, 2)),
                    lambda weights: torch.einsum("b,bkw->kw", weights, read),
                )
            )
        return parts

    def _start(self, layer: nn.Module, _: Any, output: Tensor) -> Tensor:
        self._embedded = output.detach().requires_grad_()
        return self._embedded

    def _record(self, layer: nn.Module, inputs: tuple, output: Tensor) -> None:
        seen = [inputs[0].detach()]
        self._seen[layer] = seen
        output.register_hook(lambda grad: seen.append(grad))


def _free_and_structure(embedding: Any) -> tuple[nn.Parameter, Any]:
    if not parametrize.is_parametrized(embedding, "weight"):
        return embedding.weight, None
    return embedding.parametrizations.weight.original, embedding.parametrizations.weight[0]


def _linear(layer: Any, read: Tensor, grad: Tensor) -> list[Part]:
    squared = ((read @ read.mT) * (grad @ grad.mT)).sum(dim=(1, 2))
    outputs_first = isinstance(layer, nn.Linear)

    def weighted(weights: Tensor) -> Tensor:
        scaled = (grad * weights[:, None, None]).flatten(0, 1)
        total = scaled.t() @ read.flatten(0, 1)
        return total if outputs_first else total.t()

    return [Part(layer.weight, squared, weighted), *_vector(layer.bias, grad)]


def _layer_norm(layer: Any, read: Tensor, grad: Tensor) -> list[Part]:
    plain = F.layer_norm(read, layer.normalized_shape, None, None, layer.eps)
    return [*_vector(layer.weight, grad * plain), *_vector(layer.bias, grad)]


def _rms_norm(layer: Any, read: Tensor, grad: Tensor) -> list[Part]:
    plain = F.rms_norm(read, read.shape[-1:], None, layer.variance_epsilon)
    return _vector(layer.weight, grad * plain)


def _vector(parameter: nn.Parameter | None, grads: Tensor) -> list[Part]:
    """A parameter (W,) whose gradient is the sum over the tokens of `grads` (B, T, W)."""
    if parameter is None:
        return []
    each = grads.sum(dim=1)
    return [Part(parameter, each.square().sum(dim=1), lambda weights: weights @ each)]


def _position_part(weight: nn.Parameter, grad: Tensor) -> Part:
    """Learned positions, whose rows are added to the embedding."""

    def weighted(weights: Tensor) -> Tensor:
        total = torch.zeros_like(weight)
        total[: grad.shape[1]] = torch.einsum("b,btw->tw", weights, grad)
        return total

    return Part(weight, grad.square().sum(dim=(1, 2)), weighted)


_LAYERS: dict[str, Callable[[Any, Tensor, Tensor], list[Part]]] = {
    "Conv1D": _linear,
    "Linear": _linear,
    "LayerNorm": _layer_norm,
    "LlamaRMSNorm": _rms_norm,
}
