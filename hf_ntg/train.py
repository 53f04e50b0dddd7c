"""The function `train`, and ``accelerate launch -m hf_ntg.train FLOWS --output MODEL …`` for launchers of modules."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets import Dataset

    from hf_ntg.hub.generator import FlowGenerator
    from hf_ntg.training import TrainingConfig

__all__ = ["train"]


def train(flows: Dataset, config: TrainingConfig | None = None) -> FlowGenerator:
    """Train a generator on `flows` and save it to ``config.output_dir``; see :func:`hf_ntg.training.train`.

    Args:
        flows: labelled flows.
        config: settings; the recipe of a GPT-2 in the folder ``model`` when None.

    Returns:
        The trained generator. Losses and length of the training are in its ``training_run``. The model is loaded from
        its folder when the generator is first used.

    Raises:
        InputError: the flows break the schema or cannot be learned under `config`, the folder cannot be written or
            belongs to another run, or the loss is no longer finite.
        Interrupted: Ctrl-C; the message says what is kept.
    """
    from hf_ntg.hub.generator import FlowGenerator
    from hf_ntg.training import TrainingConfig
    from hf_ntg.training import train as run

    return FlowGenerator.in_folder(run(flows, config or TrainingConfig.recipe()).folder)


if __name__ == "__main__":
    from hf_ntg.cli import main

    sys.argv[1:1] = ["train"]
    main()
