"""Warm start: copy the weights of a trained model into a fresh one whose vocabulary differs."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from hf_ntg.codecs.flow_grammar import FlowGrammar
from hf_ntg.codecs.tokenization_flow import FlowTokenizer
from hf_ntg.errors import InputError
from hf_ntg.model_files import model_folder
from hf_ntg.models.causal_lm import load_causal_lm

__all__ = ["matching_words", "start_from"]


@torch.no_grad()
def start_from(model: PreTrainedModel, tokenizer: FlowTokenizer, source: str | Path) -> None:
    """Copy the weights of the trained model at `source`, a folder or a Hub id, into the fresh `model`.

    Embedding rows are matched by word. Words that are in both vocabularies (packets, protocols, ports, classes) keep
    their rows. A time bin takes the row of the old bin nearest to it on the log scale. A new word, such as a class of
    another data set, starts from the mean of the old rows of its kind plus its own random initial row.

    Warns where the source learned another packet view.

    Raises:
        InputError: `source` is not a model of this package, is of another family, or has other sizes.
    """
    try:
        folder = model_folder(source)
        old, old_grammar = load_causal_lm(folder), FlowTokenizer.from_pretrained(folder).grammar
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"initial_model {source}: no causal model of hf_ntg to start from ({reason})") from error
    if old.config.model_type != model.config.model_type:
        raise InputError(
            f"initial_model {source}: a {old.config.model_type}, which a {model.config.model_type} cannot start from; "
            f"choose model {old.config.model_type}"
        )
    _check_sizes(model, old, source)
    if (view := tokenizer.grammar.view) != old_grammar.view:
        warnings.warn(
            f"initial_model {source}: it learned the packet view '{old_grammar.view}', and this training uses "
            f"'{view}', in which other packets follow each other; leave out the view to keep its own",
            stacklevel=2,
        )
    rows, means = matching_words(tokenizer.grammar, old_grammar)
    embedding, found = model.get_input_embeddings().weight, dict(old.named_parameters())
    for name, parameter in model.named_parameters():
        if parameter is embedding:
            _carry_words(parameter, found[name], rows, means)
        elif name.endswith("wpe.weight"):  # learned positions: copy as many as both have
            both = min(len(parameter), len(found[name]))
            parameter[:both] = found[name][:both]
        else:
            parameter.copy_(found[name])


def _check_sizes(model: PreTrainedModel, old: PreTrainedModel, source: str | Path) -> None:
    """Refuse a source whose width or number of layers differs."""
    for name in ("hidden_size", "num_hidden_layers"):
        wanted, found = getattr(model.config, name), getattr(old.config, name)
        if wanted != found:
            word = {"hidden_size": "width", "num_hidden_layers": "layers"}[name]
            raise InputError(f"initial_model {source}: its {word} is {found}, not {wanted}; leave out width and layers")
    shapes = {name: parameter.shape for name, parameter in old.named_parameters()}
    embedding = model.get_input_embeddings().weight
    for name, parameter in model.named_parameters():
        if parameter is not embedding and not name.endswith("wpe.weight") and shapes.get(name) != parameter.shape:
            raise InputError(f"initial_model {source}: its {name} has another shape; choose another model")


def matching_words(new: FlowGrammar, old: FlowGrammar) -> tuple[np.ndarray, dict[int, slice]]:
    """Match the words of two vocabularies.

    Returns:
        For every word of `new` its id in `old`, or -1: (V,). For the words with -1, the ids of their kind in `old`.
    """
    place = {word: number for number, word in enumerate(old.words())}
    rows = np.array([place.get(word, -1) for word in new.words()])
    if new.has_times and old.has_times:
        apart = np.abs(np.log(new.time_bins.edges)[:, None] - np.log(old.time_bins.edges))
        rows[new.blocks["time"]] = old.blocks["time"].start + np.append(0, apart.argmin(axis=1) + 1)
    else:
        rows[new.blocks["time"]] = -1
    kinds = {
        number: old.blocks[kind]
        for kind, block in new.blocks.items()
        for number in range(block.start, block.stop)
        if rows[number] < 0 and old.blocks[kind].stop > old.blocks[kind].start
    }
    return rows, kinds


def _carry_words(new: Tensor, old: Tensor, rows: np.ndarray, kinds: dict[int, slice]) -> None:
    known = torch.from_numpy(np.flatnonzero(rows >= 0))
    new[known] = old[torch.from_numpy(rows[rows >= 0])]
    for number, kind in kinds.items():
        new[number] += old[kind].mean(dim=0)
