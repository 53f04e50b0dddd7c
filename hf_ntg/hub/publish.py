"""Publish a model folder, flow tables or a metric: whatever `ntg publish` is given."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from hf_ntg.errors import InputError
from hf_ntg.hub.page_repository import PAGE, lay_out_page
from hf_ntg.hub.scan import RepoType
from hf_ntg.hub.training_data import TrainingData
from hf_ntg.hub.upload import Destination, Published, send_folder
from hf_ntg.metrics.registry import ALL_METRICS

__all__ = ["kind_of", "lay_out", "send"]


def kind_of(source: str) -> RepoType:
    """The kind of repository for `source`.

    Raises:
        InputError: `source` cannot be published.
    """
    path = Path(source)
    if (path / "flow_grammar.json").is_file() or (path / "model_index.json").is_file():
        return "model"
    if path.suffix == ".parquet" and path.is_file():
        return "dataset"
    if path.is_dir():
        if any(path.glob("*.parquet")) or any(path.glob("*/*.parquet")):
            return "dataset"
        raise InputError(f"{source}: holds neither a model of 'ntg train' nor Parquet files of 'ntg generate'")
    if source in (*ALL_METRICS, PAGE):
        return "space"
    raise InputError(
        f"{source}: no such folder or file, no metric and not 'page'; give a model's folder or flows in Parquet"
    )


def lay_out(
    source: str,
    folder: Path,
    to: Destination,
    *,
    license: str,
    report: Path | None,
    trained_on: str | None,
    allowed_labels: Collection[str] = (),
    models: Sequence[str] = (),
) -> RepoType:
    """Write the repository of `source` into the new `folder`.

    Returns:
        Its kind.
    """
    kind = kind_of(source)
    if models and source != PAGE:
        raise InputError("--model: only for a page; leave it out")
    if kind == "space" and report is not None:
        raise InputError("--report: a metric or a page has no scores of its own; leave it out")
    if kind != "model" and trained_on is not None:
        raise InputError("--trained-on: only for a model; flows carry the name of theirs")
    if kind == "model":
        from hf_ntg.hub.model_repository import lay_out_model

        data = TrainingData(trained_on) if trained_on else None
        lay_out_model(
            source, folder, to.repo_id, license=license, report=report, trained_on=data, allowed_labels=allowed_labels
        )
    elif kind == "dataset":
        from hf_ntg.hub.dataset_repository import lay_out_dataset

        lay_out_dataset(source, folder, to.repo_id, license=license, report=report, allowed_labels=allowed_labels)
    elif source == PAGE:
        lay_out_page(models, folder, to.repo_id, license=license)
    else:
        from hf_ntg.hub.metric_repository import lay_out_metric

        lay_out_metric(source, folder, to.repo_id)
    return kind


def send(source: str, to: Destination, **options: Any) -> Published:
    """Publish `source`; `options` as for :func:`lay_out`."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "repository"
        kind = lay_out(source, folder, to, **options)
        return send_folder(folder, kind, to, _labels(kind, folder))


def _labels(kind: RepoType, folder: Path) -> list[str | None]:
    """Names of the classes in a repository that :func:`lay_out` wrote."""
    if kind == "model":
        from hf_ntg.hub.model_card import model_labels

        return model_labels(folder)
    if kind == "dataset":
        from hf_ntg.hub.dataset_repository import dataset_labels

        return list(dataset_labels(folder))
    return []
