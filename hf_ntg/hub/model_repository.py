"""A trained model's folder to a model repository on the Hub."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Collection
from pathlib import Path

from hf_ntg.errors import InputError
from hf_ntg.files import new_folder
from hf_ntg.hub.model_card import model_labels, write_model_card
from hf_ntg.hub.rebuild import rebuild_model
from hf_ntg.hub.scan import refuse_private, warn_of_labels
from hf_ntg.hub.training_data import TrainingData
from hf_ntg.hub.upload import Destination, Published, send_folder

__all__ = ["lay_out_model", "publish_model"]


def publish_model(
    model: str | Path,
    to: Destination,
    *,
    license: str = "apache-2.0",
    report: str | Path | None = None,
    trained_on: TrainingData | None = None,
    allowed_labels: Collection[str] = (),
) -> Published:
    """Send the model in folder `model` to the Hub, with a card made from its run.

    The repository loads with stock transformers (the causal models) or :class:`hf_ntg.FlowDiffusionPipeline` (the
    diffusion model), and with :class:`hf_ntg.FlowGenerator`. None needs remote code.

    Args:
        model: folder that training left. to: where it goes.
        license, report: see :func:`hf_ntg.hub.model_card.write_model_card`.
        trained_on: the training data in words; those in the folder's ``training_data.json`` when None.
        allowed_labels: classes that may look like an address without a warning.

    Raises:
        InputError: the folder holds no model, or what must not be published, or the Hub refuses.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = lay_out_model(
            model,
            Path(scratch) / "repository",
            to.repo_id,
            license=license,
            report=report,
            trained_on=trained_on,
            allowed_labels=allowed_labels,
        )
        return send_folder(folder, "model", to, model_labels(folder))


def lay_out_model(
    model: str | Path,
    folder: str | Path,
    repo_id: str,
    *,
    license: str = "apache-2.0",
    report: str | Path | None = None,
    trained_on: TrainingData | None = None,
    allowed_labels: Collection[str] = (),
) -> Path:
    """Write what :func:`publish_model` would send into the new `folder`, and scan it.

    Returns:
        The folder.
    """
    model = Path(model)
    if not model.is_dir():
        raise InputError(f"{model}: no such folder; give the folder of a trained model")
    with new_folder(folder) as scratch:
        left_behind = rebuild_model(model, scratch)
        if left_behind:
            names = ", ".join(left_behind[:5]) + (", …" if len(left_behind) > 5 else "")
            warnings.warn(f"{model}: {names}: no part of a model, and not published", stacklevel=2)
        if trained_on is not None:
            trained_on.save(scratch)
        write_model_card(scratch, repo_id, license=license, report=report)
        labels = model_labels(scratch)
        warn_of_labels(labels, allowed_labels)
        refuse_private(scratch, "model", labels)
    return Path(folder)
