"""ReadingOptions: the options of an import, and the reader of a file that follows from them and from its content."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from hf_ntg.errors import InputError
from hf_ntg.flows.byte_stream import OnRead
from hf_ntg.flows.capture_in.assembler import DEFAULT_IDLE_TIMEOUT
from hf_ntg.flows.capture_in.pcap import CAPTURE_SUFFIXES, CaptureReader
from hf_ntg.flows.capture_in.pcap_records import PCAP_MAGICS
from hf_ntg.flows.capture_in.pcapng_records import PCAPNG_MAGIC
from hf_ntg.flows.foreign_files import HEAD, foreign_format
from hf_ntg.flows.labelling.labels import LabelRules
from hf_ntg.flows.labelling.side_table import is_side_table
from hf_ntg.flows.packings import unpacked_name
from hf_ntg.flows.parquet import PARQUET_MAGIC
from hf_ntg.flows.reading import FlowReader
from hf_ntg.flows.table_in.cesnet import CesnetReader
from hf_ntg.flows.table_in.mirage import Background, Labelling, MirageReader
from hf_ntg.flows.table_in.records import head_of, header_of
from hf_ntg.flows.table_in.tabular import TableReader, known_export
from hf_ntg.flows.unpacking import first_bytes, open_unpacked
from hf_ntg.flows.zip_files import ZIP_MAGICS

__all__ = ["ReadingOptions"]

_NESTED = re.compile(r'\{\s*"[^"]*"\s*:\s*\{')  # a JSON object of objects


@dataclass(frozen=True)
class ReadingOptions:
    """Options for reading files. An option has no effect on formats without the feature that it controls.

    Args:
        labels: rules for labels. The flows of a capture that this package wrote keep the labels of the table next to it
            (``x.flows.csv``).
        labelled_only: leave out flows that no rule labels.
        max_packets: packets to keep of each flow; all if None. ``packet_count`` always counts all.
        idle_timeout: captures: seconds without a packet after which the next one begins a new flow.
        decapsulate: captures: look inside tunnels (see :mod:`hf_ntg.flows.capture_in.tunnels`) and IP-in-IP.
        split_offload: captures: cut offloaded packets, longer than a frame, into TCP segments and UDP datagrams.
        drop_duplicates: captures: leave out packets that were captured twice.
        read_sni: captures: keep server names in a column ``sni`` (labels by server name look for them anyway).
        labelling: MIRAGE: keep ``all`` flows, or only those labelled ``exact`` or ``most-common``.
        background: MIRAGE: ``label`` flows of other apps "background", ``drop`` them, or ``keep`` their label.
        label_column: CESNET: the column with the class.
        columns: other tables: maps the schema's column names to the table's, see
            :class:`hf_ntg.flows.table_in.tabular.TableReader`.
        keep_addresses: ``hashed`` keeps a keyed hash (BLAKE2b, 64 bits) of both addresses; addresses are never stored.
        address_key: the key of the hash; if empty, a random key is used for this import and not stored.
    """

    labels: LabelRules = field(default_factory=LabelRules)
    labelled_only: bool = False
    max_packets: int | None = None
    idle_timeout: float = DEFAULT_IDLE_TIMEOUT
    decapsulate: bool = False
    split_offload: bool = False
    drop_duplicates: bool = False
    read_sni: bool = False
    labelling: Labelling = "all"
    background: Background = "label"
    label_column: str = "APP"
    columns: dict[str, str] = field(default_factory=dict)
    keep_addresses: Literal["none", "hashed"] = "none"
    address_key: bytes = field(default=b"", repr=False)

    def reader(
        self,
        path: Path,
        capture: str,
        on_read: OnRead,
        pieces: tuple[Path, ...] = (),
        scratch: Path | None = None,
    ) -> FlowReader:
        """Return the reader for the file at `path`, chosen by its first bytes.

        Args:
            pieces: further files of the same capture. scratch: folder for temporary files.
        """
        with open_unpacked(path) as file:
            head = first_bytes(file, path, HEAD)
        foreign, magic = foreign_format(head), head[:4]
        if foreign is not None:
            raise InputError(f"{path}: {foreign}")
        cut: dict[str, Any] = {"max_packets": self.max_packets, "on_read": on_read, "scratch": scratch}
        kind = _kind_of_table(path, magic)
        if kind == "mirage":
            return MirageReader(path, capture, self.labelling, self.background, **cut)
        if kind == "text":
            if is_side_table(path):
                raise InputError(f"{path}: a table of labels without packets; import the capture next to it")
            names = header_of(path)
            is_ours = self.columns or "payload_length" in names or known_export(names)
            kind = "table" if is_ours else "cesnet"
        if kind == "table":
            return TableReader(path, self.columns, capture, label_column=self.label_column, **cut)
        if kind == "cesnet":
            return CesnetReader(path, capture, self.label_column, **cut)
        with_sni = self.read_sni or self.labels.sni is not None
        return CaptureReader(
            [path, *pieces],
            capture,
            self.idle_timeout,
            self.max_packets,
            self.decapsulate,
            self.split_offload,
            with_sni,
            on_read,
            self.drop_duplicates,
        )


def _kind_of_table(path: Path, magic: bytes) -> str:
    """Return the format: ``mirage``, ``table`` (Parquet) or ``text``; empty if the file can only be a capture."""
    name = unpacked_name(path.name)
    if magic in PCAP_MAGICS or magic == PCAPNG_MAGIC:
        return ""
    if magic in ZIP_MAGICS:
        return "mirage"
    if magic == PARQUET_MAGIC or name.endswith(".parquet"):
        return "table"
    if name.endswith(CAPTURE_SUFFIXES):
        return ""
    head = head_of(path).lstrip("\ufeff \t\r\n")
    printable = sum(letter.isprintable() or letter in "\t\r\n" for letter in head[:1000])
    if not head or printable < 0.9 * min(len(head), 1000):
        return "mirage" if name.endswith(".json") else "text" if name.endswith((".csv", ".tsv")) else ""
    if _NESTED.match(head) or (name.endswith(".json") and not head.startswith(("{", "["))):
        return "mirage"
    if head.startswith("{") and name.endswith(".json") and not header_of(path):
        return "mirage"
    return "text"
