"""Private counting for `ntg train`, and how the command shows a guarantee."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hf_ntg.commands.app import show
from hf_ntg.constants import DEFAULT_VIEW, PRIVATE_COUNTS
from hf_ntg.errors import InputError
from hf_ntg.output_places import check_output_folder
from hf_ntg.training.config import RANGES

__all__ = ["count_privately", "show_privacy"]

_TAKEN = ("model", "epsilon", "delta", "privacy_unit", "view", "max_packets")
_WITHOUT_EFFECT = ("seed", "resume", "overwrite")  # options that always have a value


def count_privately(source: str, output: Path, given: dict[str, Any]) -> None:
    """Fit a private n-gram to the flows of `source`, and save it in the folder `output`.

    Args:
        given: options of the command that were given.

    Raises:
        InputError: an option has no meaning for counts, epsilon is missing, or the folder holds something already.
    """
    if extra := [name for name in given if name not in (*_TAKEN, *_WITHOUT_EFFECT)]:
        raise InputError(f"--{extra[0].replace('_', '-')}: {PRIVATE_COUNTS} has no such option")
    if given.get("epsilon") is None:
        raise InputError(f"{PRIVATE_COUNTS}: give --epsilon; without a guarantee, use gpt2, llama, mamba or unet")
    for name in ("epsilon", "delta", "max_packets"):
        if name in given:
            RANGES[name].check(name, given[name])
    check_output_folder(output)
    from hf_ntg.flows import load_flows
    from hf_ntg.models.baselines import BASELINE_FILE, PrivateNGram

    there = sorted(path.name for path in output.iterdir()) if output.exists() else []
    if foreign := [name for name in there if name != BASELINE_FILE]:
        raise InputError(f"{output}: holds {foreign[0]}, no part of a {PRIVATE_COUNTS}; choose another folder")
    if there and not given.get("overwrite"):
        raise InputError(f"{output}: holds a model already; choose another folder, or replace it by --overwrite")
    counts = PrivateNGram(given["epsilon"], given.get("delta"), given.get("privacy_unit", "flow"))
    counts.fit(load_flows(source), given.get("max_packets", 10), given.get("view", DEFAULT_VIEW))
    output.mkdir(parents=True, exist_ok=True)
    counts.save(output / BASELINE_FILE)
    show_privacy(output, PRIVATE_COUNTS, counts.privacy)


def show_privacy(output: Path, model: str, privacy: dict[str, Any]) -> None:
    """One result line: the model and its guarantee."""
    spent = privacy.get("epsilon_spent", privacy["epsilon"])
    show(
        f"{output}: {model}, epsilon {spent:.4g} at delta {privacy['delta']:.2g} for one {privacy['unit']} "
        f"of {privacy['units']:,}, noise {privacy['noise_multiplier']:.3g}",
        path=str(output),
        model=model,
        privacy=privacy,
    )
