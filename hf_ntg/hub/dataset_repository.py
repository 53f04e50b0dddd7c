"""Publish synthetic flow tables as a data set on the Hub: Parquet shards by configuration and split, and a card."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datasets import ClassLabel, Dataset, DatasetInfo, Features
from datasets.splits import SplitDict, SplitInfo

from hf_ntg.errors import InputError
from hf_ntg.files import new_folder
from hf_ntg.flows.provenance import (
    PROVENANCE_COLUMN,
    Provenance,
    provenance_metadata,
    provenance_of_file,
    provenance_text,
)
from hf_ntg.flows.schema import FLOW_FEATURES, conform_flows
from hf_ntg.hub.configuration import Configuration
from hf_ntg.hub.dataset_card import write_dataset_card
from hf_ntg.hub.scan import RECORDED_COLUMNS, refuse_private, warn_of_labels
from hf_ntg.hub.upload import Destination, Published, send_folder

__all__ = ["lay_out_dataset", "publish_dataset"]

FLOWS_PER_SHARD = 500_000
_ROWS_AT_ONCE = 20_000
_GENERATED = re.compile(r"synthetic-\d+")
_SHARD = re.compile(r"-\d{5}-of-\d{5}$")
_CONFIG, _SPLIT = re.compile(r"\w[\w.-]*"), re.compile(r"\w+")


def publish_dataset(
    source: str | Path,
    to: Destination,
    *,
    license: str = "apache-2.0",
    report: str | Path | None = None,
    allowed_labels: Collection[str] = (),
) -> Published:
    """Send synthetic flows to the Hub, where ``load_dataset`` finds them, streaming or not.

    Args:
        source: see :func:`lay_out_dataset`. to: where they go. license, report: for the card.
        allowed_labels: classes that may look like an address without a warning.

    Raises:
        InputError: a table is no flow table or not a generator's, or the Hub refuses.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "repository"
        lay_out_dataset(source, folder, to.repo_id, license=license, report=report, allowed_labels=allowed_labels)
        return send_folder(folder, "dataset", to, dataset_labels(folder))


def lay_out_dataset(
    source: str | Path,
    folder: str | Path,
    repo_id: str,
    *,
    license: str = "apache-2.0",
    report: str | Path | None = None,
    flows_per_shard: int = FLOWS_PER_SHARD,
    allowed_labels: Collection[str] = (),
) -> Path:
    """Write what :func:`publish_dataset` would send into the new `folder`, and scan it; returns the folder.

    The column ``label`` becomes a ``ClassLabel``, and the marks a column ``provenance``; :func:`hf_ntg.load_flows`, and
    every function that takes what ``load_dataset`` returns, give names and marks back.

    Args:
        source: a Parquet file that ``ntg generate`` wrote (configuration ``default``, split ``train``), a folder of
            files named by their splits (``train.parquet``, or shards ``train-00000-of-00004.parquet``), or a folder of
            such folders named by their configurations.
        flows_per_shard: flows of a Parquet file.
    """
    tables = _find_tables(Path(source))
    with new_folder(folder) as scratch:
        made = [_write_configuration(name, splits, scratch, flows_per_shard) for name, splits in tables.items()]
        write_dataset_card(scratch, repo_id, made, license=license, report=report)
        labels = dataset_labels(scratch)
        warn_of_labels(labels, allowed_labels)
        refuse_private(scratch, "dataset", labels)
    return Path(folder)


def dataset_labels(folder: Path) -> list[str]:
    """Names of all classes in the Parquet files of `folder`."""
    schemas = (pq.read_schema(path) for path in sorted(folder.rglob("*.parquet")))
    return sorted({label for schema in schemas for label in Features.from_arrow_schema(schema)["label"].names})


def _find_tables(source: Path) -> dict[str, dict[str, list[Path]]]:
    """Configuration to split to files."""
    if source.is_file():
        return {"default": {"train": [source]}}
    if not source.is_dir():
        raise InputError(f"{source}: no such file or folder; give flows that 'ntg generate' wrote")
    here, below = sorted(source.glob("*.parquet")), sorted(source.glob("*/*.parquet"))
    if bool(here) == bool(below):
        what = "tables both in it and below it" if here else "no .parquet files"
        raise InputError(f"{source}: {what}; give SPLIT.parquet files, or folders of them named by configuration")
    tables: dict[str, dict[str, list[Path]]] = {}
    for path in here or below:
        config, split = "default" if here else path.parent.name, _SHARD.sub("", path.stem)
        if not _CONFIG.fullmatch(config):
            raise InputError(f"{path}: {config!r} cannot name a configuration; use letters, digits, - and .")
        if not _SPLIT.fullmatch(split):
            raise InputError(f"{path}: {split!r} cannot name a split; use letters, digits and _")
        tables.setdefault(config, {}).setdefault(split, []).append(path)
    return tables


def _write_configuration(name: str, splits: dict[str, list[Path]], folder: Path, flows_per_shard: int) -> Configuration:
    """Write the shards of all splits of one configuration, and describe them."""
    marks = {split: _mark(paths) for split, paths in splits.items()}
    counts = {split: sum(map(_class_counts, paths), Counter()) for split, paths in splits.items()}
    classes = sorted({label for found in counts.values() for label in found if label is not None})
    texts = list(dict.fromkeys(provenance_text([mark]) for mark in marks.values()))
    features, infos, on_disk = None, SplitDict(), 0
    for split, paths in splits.items():
        flows = counts[split].total()
        shards = max(1, -(-flows // flows_per_shard))
        files = [folder / "data" / name / f"{split}-{k:05d}-of-{shards:05d}.parquet" for k in range(shards)]
        found, num_bytes = _write_shards(paths, files, flows_per_shard, classes, marks[split], texts)
        if features is not None and found != features:
            raise InputError(f"{paths[0]}: other columns than the other splits of '{name}'; generate them alike")
        features = found
        infos[split] = SplitInfo(split, num_bytes=num_bytes, num_examples=flows, dataset_name=name)
        on_disk += sum(file.stat().st_size for file in files)
    info = DatasetInfo(
        features=features,
        splits=infos,
        download_size=on_disk,
        dataset_size=sum(part.num_bytes for part in infos.values()),
        config_name=name,
    )
    return Configuration(name, info, marks, counts)


def _mark(paths: list[Path]) -> Provenance:
    """The mark of a split's files, which must be of one draw."""
    first: Provenance | None = None
    for path in paths:
        marks = provenance_of_file(path)
        if not marks:
            raise InputError(
                f"{path}: nothing says that a generator made these flows, and real flows are not published; make them "
                "by 'ntg generate', or by FlowGenerator.generate and save_flows"
            )
        if any(mark.holds_real for mark in marks):
            raise InputError(f"{path}: holds real flows, or changed ones ('ntg augment'), which are not published")
        first = first or marks[0]
        for mark in marks:
            if (mark.model, mark.revision, mark.seed) != (first.model, first.revision, first.seed):
                raise InputError(
                    f"{path}: flows of several models or seeds in one split; give each draw a split of its own"
                )
    assert first is not None  # a split has a file
    return first


def _class_counts(path: Path) -> Counter[str | None]:
    if "label" not in pq.read_schema(path).names:
        raise InputError(f"{path}: no column 'label'; give flows that 'ntg generate' wrote")
    found = pc.value_counts(pq.read_table(path, columns=["label"]).column("label"))
    return Counter({row["values"]: row["counts"] for row in found.to_pylist()})


def _write_shards(
    paths: list[Path],
    files: list[Path],
    flows_per_shard: int,
    classes: list[str],
    mark: Provenance,
    texts: list[str],
) -> tuple[Features, int]:
    """Write the flows of `paths` to `files` in pieces; returns their features and their bytes in memory.

    The mark is in the files' metadata, and for readers that drop it, in a column: the one of `texts`, the marks of all
    splits, that is this split's.
    """
    files[0].parent.mkdir(parents=True, exist_ok=True)
    names = pa.array(classes, pa.string())
    writer: Any = None  # pyarrow has no types
    features, num_bytes, done = None, 0, 0
    for path, batch in _pieces(paths, flows_per_shard):
        flows = _published_columns(Dataset(pa.Table.from_batches([batch])), path)
        features = Features(
            {**flows.features, "label": ClassLabel(names=classes), PROVENANCE_COLUMN: ClassLabel(names=texts)}
        )
        schema = features.arrow_schema
        schema = schema.with_metadata({**schema.metadata, **provenance_metadata([mark])})
        table = flows.with_format("arrow")[:]
        codes = pc.index_in(table.column("label"), value_set=names).cast(pa.int64())
        table = table.set_column(table.column_names.index("label"), "label", codes)
        own = pa.array([texts.index(provenance_text([mark]))] * len(table), pa.int64())
        table = table.append_column(PROVENANCE_COLUMN, own).cast(schema)
        if done % flows_per_shard == 0:
            if writer is not None:
                writer.close()
            writer = pq.ParquetWriter(files[done // flows_per_shard], schema, compression="zstd")
        writer.write_table(table)
        num_bytes += table.nbytes
        done += len(table)
    writer.close()
    return features, num_bytes


def _published_columns(flows: Dataset, path: Path) -> Dataset:
    """`flows` with the columns of the flow schema alone, once every flow has the id that a generator gives.

    A mark of a generator can be copied onto other flows; ids tell those that were added later.
    """
    ids = flows.with_format("numpy")["flow_id"][:] if "flow_id" in flows.column_names else []
    foreign = [str(name) for name in ids if not _GENERATED.fullmatch(str(name))]
    if foreign or not len(ids):
        named = f"flow {foreign[0]!r}" if foreign else "the column 'flow_id' is missing: a flow"
        raise InputError(f"{path}: {named} is not from the generator that the file names; real flows are not published")
    recorded = [name for name in RECORDED_COLUMNS if name in flows.column_names]
    if recorded:
        raise InputError(f"{path}: column '{recorded[0]}' is of recorded traffic; real flows are not published")
    return conform_flows(
        flows.select_columns([name for name in FLOW_FEATURES if name in flows.column_names]), str(path)
    )


def _pieces(paths: list[Path], flows_per_shard: int) -> Iterator[tuple[Path, pa.RecordBatch]]:
    """Record batches of the files one after another, none of which crosses the border of a shard."""
    left = flows_per_shard
    for path in paths:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(min(_ROWS_AT_ONCE, flows_per_shard)):
                while len(batch):
                    part = batch.slice(0, left)
                    yield path, part
                    batch, left = batch.slice(len(part)), left - len(part) or flows_per_shard
