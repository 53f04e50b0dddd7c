"""Flows in, whatever they lie in: the bundled set, a Parquet file or folder, a capture, a data set on the Hub."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from datasets import Dataset, DatasetDict, concatenate_datasets

from hf_ntg.errors import InputError
from hf_ntg.flows.provenance import mark_flows, provenance_of_file
from hf_ntg.flows.schema import conform_flows
from hf_ntg.remote import hub_in_words

__all__ = ["BUNDLED", "load_flows"]

BUNDLED = "loopback"
_CAPTURE_SUFFIXES = {".pcap", ".pcapng", ".cap", ".gz"}


def load_flows(
    source: str | Path = BUNDLED,
    *,
    config: str | None = None,
    split: str | None = None,
    revision: str | None = None,
    token: str | None = None,
    **reading,
) -> Dataset:
    """Load a flow table in the project's schema.

    Args:
        source: ``"loopback"`` (the bundled set), a ``.parquet`` file or a folder of them, a capture (pcap, pcapng),
            or the id of a data set on the Hub (``"org/name"``).
        config, split: configuration and split of a data set on the Hub; its default configuration, and all splits one
            after another, when None.
        revision, token: of a data set on the Hub: branch, tag or commit; for private and gated ones.
        **reading: how a capture is cut into flows, see :func:`hf_ntg.flows.capture_in.pcap.read_pcap`.

    Raises:
        InputError: the source is missing, empty, broken, or not a flow table.
    """
    name, path = str(source), Path(source)
    if name == BUNDLED:
        with resources.as_file(resources.files("hf_ntg.flows") / "bundled" / "loopback.parquet") as bundled:
            return conform_flows(_read_parquet([bundled]), name)
    if path.is_dir():
        files = sorted(path.rglob("*.parquet"))
        if not files:
            raise InputError(f"{path}: a folder without .parquet files; captures are turned into flows by 'ntg import'")
        return conform_flows(_read_parquet(files), name)
    if path.is_file():
        if path.suffix == ".parquet":
            return conform_flows(_read_parquet([path]), name)
        if path.suffix in _CAPTURE_SUFFIXES:
            from hf_ntg.flows.capture_in.pcap import read_pcap

            return conform_flows(read_pcap(path, **reading), name)
        raise InputError(
            f"{path}: not a flow table; give .parquet, .pcap or .pcapng, or turn it into one by 'ntg import'"
        )
    if name.count("/") == 1 and not path.suffix and not name.startswith((".", "/")):
        return conform_flows(_read_hub(name, config, split, revision, token), name)
    raise InputError(f"{path}: no such file; give a flow table, a capture, '{BUNDLED}' or the id of a data set")


def _read_parquet(files: list[Path]) -> Dataset:
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = []
    for file in files:
        try:
            table = pq.read_table(file)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise InputError(f"{file}: not a readable Parquet file ({str(error).splitlines()[0]})") from error
        try:
            tables.append(mark_flows(Dataset(table), provenance_of_file(table.schema)))
        except (ValueError, TypeError, KeyError, AttributeError) as error:  # whatever the metadata lead datasets to
            first = (str(error).splitlines() or [""])[0]
            raise InputError(f"{file}: what it says of its own features does not fit its columns ({first})") from error
    return tables[0] if len(tables) == 1 else concatenate_datasets(tables)


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
