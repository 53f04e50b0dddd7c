"""The card of a synthetic data set: configurations, columns, classes, and which models made the flows."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from datasets.info import DatasetInfosDict
from huggingface_hub import DatasetCardData

from hf_ntg.files import write_text
from hf_ntg.hub.configuration import Configuration
from hf_ntg.hub.evaluation import keep_evaluation, score_rows
from hf_ntg.hub.templates import render

__all__ = ["write_dataset_card"]

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))

_COLUMNS = {
    "flow_id": "unique name of the flow in its table",
    "label": "class",
    "protocol": "IP protocol number: 6 TCP, 17 UDP",
    "source_port": "port of the flow's initiator (a random ephemeral one)",
    "destination_port": "port of the other side",
    "payload_length": "bytes of transport payload",
    "direction": "+1 from the initiator, -1 towards it",
    "inter_arrival_time": "seconds since the flow's previous packet, the first 0",
    "tcp_window": "raw header field, 0 for UDP",
    "packet_count": "packets of the flow",
}


def write_dataset_card(
    folder: Path,
    repo_id: str,
    configurations: list[Configuration],
    *,
    license: str = "apache-2.0",
    report: str | Path | None = None,
) -> Path:
    """Write ``README.md`` into `folder`: the YAML that ``datasets`` reads, and the card.

    Args:
        configurations: what ``data/`` holds; the first is the default.
        report: ``report.json`` of ``ntg evaluate`` for the flows, whose scores are kept as ``evaluation.json``.
    """
    flows = sum(part.num_examples for one in configurations for part in one.info.splits.values())
    evaluation = None if report is None else keep_evaluation(report, folder)
    metadata = DatasetCardData(
        license=license,
        pretty_name=repo_id.rpartition("/")[2],
        tags=["hf_ntg", "network-traffic", "network-flows", "synthetic", "traffic-classification"],
        task_categories=["tabular-classification"],
        size_categories=[next((words for most, words in _SIZES if flows < most), "10M<n<100M")],
    )
    metadata["configs"] = [_data_files(one, first=one is configurations[0]) for one in configurations]
    DatasetInfosDict({one.name: one.info for one in configurations}).to_dataset_card_data(metadata)
    shown = configurations[0]
    text = render(
        "dataset_card.md.j2",
        repo_id=repo_id,
        configurations=configurations,
        flows=flows,
        shown=shown,
        shown_split=next(iter(shown.info.splits)),
        columns=_COLUMNS,
        class_counts=_class_counts(configurations),
        evaluation=evaluation,
        rows=[] if evaluation is None else score_rows(evaluation),
    )
    write_text(folder / "README.md", f"---\n{metadata.to_yaml()}\n---\n\n{text}")
    return folder / "README.md"


def _data_files(configuration: Configuration, first: bool) -> dict:
    files = [
        {"split": split, "path": f"data/{configuration.name}/{split}-*.parquet"} for split in configuration.info.splits
    ]
    entry = {"config_name": configuration.name, "data_files": files}
    return entry | {"default": True} if first else entry


def _class_counts(configurations: list[Configuration]) -> list[tuple[str | None, list[int]]]:
    """Each class with its flows in each configuration."""
    totals = [sum(one.class_counts.values(), Counter()) for one in configurations]
    names = sorted({name for one in totals for name in one}, key=str)
    return [(name, [one[name] for one in totals]) for name in names]
