"""A trained model's folder to a model repository on the Hub."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hf_ntg.errors import InputError
from hf_ntg.hub.model_card import write_model_card
from hf_ntg.hub.scan import refuse_private
from hf_ntg.hub.training_data import TrainingData
from hf_ntg.hub.upload import Destination, Published, fresh_folder, send_folder

__all__ = ["lay_out_model", "publish_model"]

# Left behind by training and by tools in a model's folder; a card is made anew.
_NOT_SENT = ("checkpoints", "runs", ".*", "__pycache__", "README.md")


def publish_model(
    model: str | Path,
    to: Destination,
    *,
    license: str = "apache-2.0",
    report: str | Path | None = None,
    trained_on: TrainingData | None = None,
) -> Published:
    """Send the model in folder `model` to the Hub, with a card made from its run.

    The repository loads with stock transformers (the causal models) or :class:`hf_ntg.FlowDiffusionPipeline` (the
    diffusion model), and with :class:`hf_ntg.FlowGenerator`; none needs remote code.

    Args:
        model: folder that training left. to: where it goes.
        license, report: see :func:`hf_ntg.hub.model_card.write_model_card`.
        trained_on: the training data in words; those that the folder's ``training_data.json`` tells when None.

    Raises:
        InputError: the folder is no model, holds what must not be published, or the Hub refuses.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "repository"
        lay_out_model(model, folder, to.repo_id, license=license, report=report, trained_on=trained_on)
        return send_folder(folder, "model", to)


def lay_out_model(
    model: str | Path,
    folder: str | Path,
    repo_id: str,
    *,
    license: str = "apache-2.0",
    report: str | Path | None = None,
    trained_on: TrainingData | None = None,
) -> Path:
    """Write what :func:`publish_model` would send into the new `folder`, and look through it; returns the folder."""
    model = Path(model)
    if not model.is_dir():
        raise InputError(f"{model}: no such folder; give the folder of a trained model")
    folder = fresh_folder(folder)
    shutil.copytree(model, folder, ignore=shutil.ignore_patterns(*_NOT_SENT), dirs_exist_ok=True)
    # Before anything is read: a foreign file is named as such, not as a model that lacks something.
    refuse_private(folder, "model")
    if trained_on is not None:
        trained_on.save(folder)
    write_model_card(folder, repo_id, license=license, report=report)
    refuse_private(folder, "model")
    return folder
