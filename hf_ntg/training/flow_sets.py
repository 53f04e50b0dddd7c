"""Preparation of a run's training and validation flows: validation split, packet view, adjusted settings."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from datasets import Dataset

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.split import split_flows
from hf_ntg.flows.view import dropped_in_words, flows_in_view, longest_seen
from hf_ntg.training.config import TrainingConfig

__all__ = ["FlowSets", "prepare_flows"]


@dataclass(frozen=True)
class FlowSets:
    """The flows of a run, and the settings that fit them.

    Attributes:
        training: flows in the packet view. validation: held-back flows of the same classes, or None.
        config: the settings of the run, with `max_packets` lowered to the longest flow seen.
        notes: what was left out of the flows or the settings, one line each.
    """

    training: FlowArrays
    validation: FlowArrays | None
    config: TrainingConfig
    notes: list[str]


def prepare_flows(flows: Dataset, config: TrainingConfig) -> FlowSets:
    """Hold validation flows back and put both sets into the packet view of `config`.

    Raises:
        InputError: no training flow has a packet in the view, or nothing can be held back as `config` asks.
    """
    given, held_back = _hold_back(flows, config)
    training, dropped = flows_in_view(given, config.view)
    notes = [dropped_in_words(dropped, len(given))] if dropped else []
    lost = sorted(map(str, set(given.unique("label")) - set(training.label)))
    if lost:
        notes.append(f"no flow of class {', '.join(lost)} carries payload: the model does not know it")
    longest = longest_seen(training, config.max_packets)
    if longest < config.max_packets:
        notes.append(
            f"the longest flows were cut after {longest} packets: the model learns and makes at most that many, "
            f"not {config.max_packets}"
        )
    validation = None
    if held_back is not None:
        validation, _ = flows_in_view(held_back, config.view)
        known = set(training.label)
        validation = validation.take(np.array([label in known for label in validation.label], dtype=bool))
    return FlowSets(training, validation, replace(config, max_packets=longest), notes)


def _hold_back(flows: Dataset, config: TrainingConfig) -> tuple[Dataset, Dataset | None]:
    """Training and validation flows. Whole captures are held back if several captures are known."""
    if config.validation_share == 0:
        if config.keep == "best":
            raise InputError("keep 'best' needs flows to validate on; give validation_share or keep 'last'")
        return flows, None
    known = "capture" in flows.column_names and None not in flows.unique("capture")
    by = "capture" if known and len(flows.unique("capture")) > 1 else "random"
    parts = split_flows(flows, by=by, test_size=config.validation_share, seed=config.seed)
    return parts["train"], parts["test"]
