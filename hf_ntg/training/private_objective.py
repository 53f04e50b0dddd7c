"""Flows, vocabulary and model of a private training: nothing of them depends on a flow outside the accounted noise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedModel

from hf_ntg.codecs.flow_grammar import FlowGrammar
from hf_ntg.codecs.flow_labels import class_names, class_places
from hf_ntg.codecs.tokenization_flow import FlowTokenizer
from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.model_files import model_folder
from hf_ntg.models.causal_lm import build_causal_lm
from hf_ntg.models.structured_embedding import share_structure, stock_state
from hf_ntg.models.warm_start import start_from
from hf_ntg.privacy.budget import Budget, Mechanism, default_delta, gaussian_noise
from hf_ntg.privacy.noise import SecretNoise
from hf_ntg.privacy.public_words import public_grammar
from hf_ntg.privacy.units import UnitFlows, noised_histogram
from hf_ntg.training.config import TrainingConfig
from hf_ntg.training.example_gradients import RecordingModel

__all__ = ["PrivateObjective"]

SHARES_NOISE = 5.0  # noise of the class counts, in multiples of what would spend the whole budget: 4 % of it


@dataclass(frozen=True)
class PrivateObjective:
    """A causal model, its training sentences by unit, and what was spent before training.

    Attributes:
        model: the model to train. recorder: its gradients of single sentences. tokenizer: with the public vocabulary.
        sentences: (N, L) padded sentences. unit: (N,) unit of each. num_units: of the table, public.
        budget: the guarantee that was asked for. spent: mechanisms that ran already (the class counts).
    """

    model: PreTrainedModel
    recorder: RecordingModel
    tokenizer: FlowTokenizer
    sentences: torch.Tensor
    unit: np.ndarray
    num_units: int
    budget: Budget
    spent: tuple[Mechanism, ...]

    @classmethod
    def prepare(cls, table: FlowArrays, config: TrainingConfig, noise: SecretNoise) -> PrivateObjective:
        """Fix the vocabulary, count the classes with noise and build the model.

        Raises:
            InputError: the flows lack a column that `config` asks for, or a unit; or the initial model does not fit.
        """
        assert config.epsilon is not None
        _check_columns(table, config)
        units = UnitFlows.of(table, config.privacy_unit, config.view)
        delta = default_delta(units.count) if config.delta is None else config.delta
        budget = Budget(config.epsilon, delta)
        names = class_names(table.label)
        scale = SHARES_NOISE * gaussian_noise(budget)
        places = class_places(names, units.flows.label)
        counts = noised_histogram(places, units.unit, units.weight, len(names), 1.0, scale, noise)
        grammar = public_grammar(
            names,
            _as_counts(counts),
            max_packets=config.max_packets,
            max_payload=config.max_payload,
            header=config.header,
            times=config.times,
            time_bins=config.time_bins,
            view=config.view,
            public=None if config.initial_model is None else _grammar_of(config.initial_model),
        )
        tokenizer = FlowTokenizer.from_format(grammar)
        # Which flows of a table were cut is guessed from all of them. A sentence must depend on its flow alone.
        encoded = tokenizer.encode_flows(replace(units.flows, cut=None))
        model = build_causal_lm(config.model, tokenizer, seed=config.seed, width=config.width, layers=config.layers)
        if config.initial_model is not None:
            start_from(model, tokenizer, config.initial_model)
        if config.structured:
            share_structure(model, grammar, config.seed, fresh=config.initial_model is None)
        weight = torch.ones(len(tokenizer))
        weight[grammar.blocks["time"]] = config.time_weight
        weight[grammar.blocks["pad"]] = 0
        return cls(
            model=model,
            recorder=RecordingModel(model, grammar, weight),
            tokenizer=tokenizer,
            sentences=torch.from_numpy(encoded.padded().astype(np.int64)),
            unit=units.unit,
            num_units=units.count,
            budget=budget,
            spent=(Mechanism(scale),),
        )

    def save(self, model: torch.nn.Module, folder: Path) -> None:
        """Write the weights of `model` and the tokenizer to `folder`, ready for ``from_pretrained``."""
        assert isinstance(model, PreTrainedModel)
        model.save_pretrained(folder, state_dict=stock_state(model))
        self.tokenizer.save_pretrained(folder)


def _check_columns(table: FlowArrays, config: TrainingConfig) -> None:
    """Settings alone decide what a private model learns; flows that lack it are refused."""
    if config.times and table.inter_arrival_time is None:
        raise InputError("epsilon: the flows, or one of them, have no times; give --no-times (times=False)")
    if config.header and (table.protocol is None or table.destination_port is None):
        raise InputError("epsilon: the flows have no protocol and destination_port; give --no-header (header=False)")


def _grammar_of(source: str) -> FlowGrammar:
    return FlowTokenizer.from_pretrained(model_folder(source)).grammar


def _as_counts(noised: np.ndarray) -> list[int]:
    """Noised counts as whole numbers above 0: a declared class is one that can be drawn."""
    return np.maximum(np.rint(noised), 1).astype(np.int64).tolist()
