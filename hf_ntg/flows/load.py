"""Loads flow tables: the bundled set, Parquet files and folders, captures, data sets on the Hub, tables in memory."""

from __future__ import annotations

import glob
import re
from importlib import resources
from pathlib import Path

from datasets import Dataset, DatasetDict, concatenate_datasets

from hf_ntg.constants import BUNDLED
from hf_ntg.errors import InputError
from hf_ntg.flows.packings import unpacked_name
from hf_ntg.flows.parquet import PARQUET_MAGIC, open_parquet, with_plain_texts
from hf_ntg.flows.provenance import PROVENANCE_COLUMN, mark_flows, provenance_of_file
from hf_ntg.flows.schema import FLOW_FEATURES, conform_flows
from hf_ntg.flows.sources import KNOWN_SUFFIXES, expand_globs
from hf_ntg.flows.table_in.records import header_of
from hf_ntg.flows.unpacking import is_pipe, printable_name
from hf_ntg.remote import hub_in_words

__all__ = ["load_flows"]

_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")


def load_flows(
    source: object = BUNDLED,
    *,
    config: str | None = None,
    split: str | None = None,
    revision: str | None = None,
    token: str | None = None,
    **reading,
) -> Dataset:
    """Load a flow table in the project's schema.

    Args:
        source: ``"loopback"`` (the bundled set), a Parquet file or a folder of them, JSON lines or CSV that ``ntg
            generate`` wrote, a capture (pcap or pcapng, plain,
            compressed or a pipe), a glob, the id of a data set on the Hub (``"org/name"``), a list of all these, or a
            table in memory (see :func:`hf_ntg.flows.frames.as_dataset`).
        config, split: configuration and split of a data set on the Hub. If None, its default configuration, and all
            splits concatenated.
        revision, token: for a data set on the Hub: a branch, tag or commit, and a token for private and gated sets.
        **reading: options for reading a capture, see :func:`hf_ntg.flows.capture_in.pcap.read_pcap`.

    Raises:
        InputError: the source is missing, empty, broken, or not a flow table.
    """
    if isinstance(source, list | tuple) and source and all(isinstance(one, str | Path) for one in source):
        return _joined([load_flows(one, config=config, split=split, revision=revision, token=token, **reading)
                        for one in source])  # fmt: skip
    if not isinstance(source, str | Path):
        return conform_flows(source, "flows")
    name, path = str(source), Path(source)
    if name == BUNDLED:
        with resources.as_file(resources.files("hf_ntg.flows") / "bundled" / "loopback.parquet") as bundled:
            return _read_parquet(bundled, name)
    if path.is_dir():
        files = sorted(path.rglob("*.parquet"))
        if not files:
            raise InputError(f"{path}: a folder without .parquet files; captures are turned into flows by 'ntg import'")
        return _joined([_read_parquet(file, str(file)) for file in files])
    if path.exists():
        return _read_file(path, reading)
    if glob.has_magic(name):
        return load_flows([str(one) for one in expand_globs([name])], **reading)
    if _HUB_ID.fullmatch(name) and not unpacked_name(name).endswith(KNOWN_SUFFIXES):
        return conform_flows(_read_hub(name, config, split, revision, token), name)
    shown = printable_name(name)
    raise InputError(f"{shown}: no such file; give a flow table, a capture, '{BUNDLED}' or the id of a data set")


def _read_file(path: Path, reading: dict) -> Dataset:
    """Load a Parquet file or a capture; any other file is refused with the command that imports it."""
    from hf_ntg.flows.capture_in.pcap import read_pcap

    shown = printable_name(str(path))
    if is_pipe(path):
        return conform_flows(read_pcap(path, **reading), shown)
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise InputError(f"{shown}: cannot be opened ({error.strerror})") from error
    if magic == PARQUET_MAGIC or path.suffix == ".parquet":
        return _read_parquet(path, shown)
    if magic[:2] != b"PK" and PROVENANCE_COLUMN in (names := header_of(path)) and "payload_length" in names:
        return _read_text(path, shown, reading)
    if magic[:2] == b"PK" or unpacked_name(path.name).endswith(
        (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".zip", ".txt", ".log")
    ):
        raise InputError(
            f"{shown}: not a flow table; give .parquet, .pcap or .pcapng, or turn it into one by 'ntg import'"
        )
    return conform_flows(read_pcap(path, **reading), shown)


def _read_text(path: Path, shown: str, reading: dict) -> Dataset:
    """Load the JSON lines or the CSV file that :func:`~hf_ntg.flows.save_flows` wrote of marked flows."""
    from hf_ntg.flows.table_in.tabular import TableReader

    reader = TableReader(path, {}, max_packets=reading.get("max_packets"))
    tables = [batch.flows.to_dataset() for batch in reader]
    if reader.broken is not None or reader.skipped or not tables:
        raise InputError(
            f"{shown}: {reader.broken or dict(reader.skipped) or 'holds no flows'}; 'ntg import' keeps the rest"
        )
    return conform_flows(mark_flows(concatenate_datasets(tables), list(reader.marks)), shown)


def _joined(tables: list[Dataset]) -> Dataset:
    """Concatenate conforming tables, with the columns that all of them have."""
    if len(tables) == 1:
        return tables[0]
    kept = [name for name in tables[0].column_names if all(name in table.column_names for table in tables)]
    try:
        return concatenate_datasets([table.select_columns(kept) for table in tables])
    except ValueError:  # other columns than the schema's, of different types
        kept = [name for name in kept if name in FLOW_FEATURES]
        return concatenate_datasets([table.select_columns(kept) for table in tables])


def _read_parquet(file: Path, shown: str) -> Dataset:
    """Load a Parquet file; messages call it `shown`."""
    import pyarrow as pa

    try:
        with open_parquet(file) as opened:
            opened.rows_at_once(1)
            table = with_plain_texts(opened.read(), shown, file)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{shown}: not a readable Parquet file ({str(error).splitlines()[0]})") from error
    try:
        flows = mark_flows(Dataset(table), provenance_of_file(table.schema))
    except InputError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError) as error:  # bad metadata can cause any of these
        first = (str(error).splitlines() or [""])[0]
        raise InputError(f"{shown}: what it says of its own features does not fit its columns ({first})") from error
    return conform_flows(flows, shown)


def _read_hub(name: str, config: str | None, split: str | None, revision: str | None, token: str | None) -> Dataset:
    from datasets import load_dataset

    before = "no such file, and no data set to load from the Hub: "
    try:
        with hub_in_words(name, "dataset", before):
            loaded = load_dataset(name, config, split=split, revision=revision, token=token)
    except ValueError as error:  # no such configuration or split
        if isinstance(error, InputError):
            raise
        raise InputError(f"{name}: {before}{str(error).splitlines()[0]}") from error
    return concatenate_datasets(list(loaded.values())) if isinstance(loaded, DatasetDict) else loaded
