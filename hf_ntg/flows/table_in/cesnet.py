"""Reads CESNET data sets: CSV files with per-packet information (PPI), and the arrays that DataZoo returns.

Sources: CESNET-QUIC22, CESNET-TLS22, CESNET-TLS-Year22 (https://www.liberouter.org/technology-v2/tools-services-datasets/).
PPI is ``[[inter-packet times in ms], [directions], [sizes]]``; TLS-Year22 and DataZoo add a row of push flags. It holds
at most 30 packets, sizes are transport payload, and packets without payload are left out.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from datasets import Dataset

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.byte_stream import OnRead
from hf_ntg.flows.packings import unpacked_name
from hf_ntg.flows.reading import no_columns, packed_address
from hf_ntg.flows.schema import conform_flows
from hf_ntg.flows.table_in.conventions import UNITS, Declared
from hf_ntg.flows.table_in.raw_batch import text_of
from hf_ntg.flows.table_in.records import header_of, records
from hf_ntg.flows.table_in.table_file import TableFile
from hf_ntg.flows.table_in.totals import REMEDY, totals_of
from hf_ntg.progress import log

__all__ = ["CesnetReader", "from_datazoo"]

_FLAT_COLUMN = re.compile(r"(IPT|DIR|SIZE)_(\d+)")


class CesnetReader(TableFile):
    """Streams the flows of a CESNET CSV file, plain or packed.

    Args:
        path: the file. capture: name of the file's flows as a group; the file's name when None.
        label_column: column that holds the class.
        max_packets, on_read, scratch: see :class:`hf_ntg.flows.table_in.table_file.TableFile`.
    """

    def __init__(
        self,
        path: str | Path,
        capture: str | None = None,
        label_column: str = "APP",
        max_packets: int | None = None,
        on_read: OnRead | None = None,
        scratch: Path | None = None,
    ) -> None:
        name = Path(path).name
        stem = name[: len(unpacked_name(name).removesuffix(".csv"))]
        super().__init__(path, stem if capture is None else capture, max_packets, on_read, scratch)
        self.label_column = label_column
        self.has = ("payload_length", "direction", "inter_arrival_time")
        self.declared = Declared(up="1", down="-1", unit=UNITS["ms"], timestamps=False)

    def read_rows(self) -> Iterator[None]:
        self._check_header(header_of(self.path))
        for number, row in enumerate(records(self.path, self._on_read), start=1):
            if isinstance(row, str):
                self.skip(row)
            else:
                self._add_row(row, number)
            yield

    def _check_header(self, found: list[str]) -> None:
        if "PPI" not in found:
            tool = totals_of(found)
            if tool is not None:
                raise InputError(f"{self.path}: this table ({tool}) {REMEDY}")
            remedy = "name the columns of packet lists with --columns OURS=THEIRS"
            raise no_columns(self.path, ["PPI"], found, remedy)
        if self.label_column not in found:
            raise no_columns(self.path, [self.label_column], found, "name the class with --label-column")

    def _add_row(self, row: dict, number: int) -> None:
        """Take one row of the CSV file."""
        try:
            packets = json.loads(row.get("PPI") or "")
        except (TypeError, ValueError, RecursionError):
            packets = None
        if not isinstance(packets, list) or len(packets) not in (3, 4) or not isinstance(packets[0], list):
            self.skip("a PPI that is not three or four lists")
            return
        milliseconds, direction, length = packets[:3]
        total = [str(row.get(name, "")) for name in ("PACKETS", "PACKETS_REV")]
        self.add(
            length,
            direction,
            milliseconds,
            flow_id=f"{self.capture}#{row.get('ID') or number}",
            label=row.get(self.label_column),
            capture=self.capture,
            protocol=row.get("PROTOCOL"),
            source_port=row.get("SRC_PORT"),
            destination_port=row.get("DST_PORT"),
            packet_count=sum(map(int, total)) if all(one.isdecimal() and len(one) < 10 for one in total) else None,
            source=packed_address(row.get("SRC_IP")),
            destination=packed_address(row.get("DST_IP")),
            sni=row.get("QUIC_SNI") or row.get("TLS_SNI") or None,
        )


def from_datazoo(data, labels=None, *, capture: str = "datazoo") -> Dataset:
    """Flows from what `cesnet-datazoo` keeps in memory.

    Args:
        data: a ``pandas.DataFrame`` with a column ``PPI`` (arrays (C, L)) or flat columns ``IPT_1 … DIR_1 … SIZE_1 …``,
            or an array (N, C, L); C is 3 or 4 rows (ms, direction, size, push flag), L packets, zeros behind the last.
            Sizes must be bytes: take them before DataZoo scales them.
        labels: (N,) classes; the column ``APP`` when None.
        capture: name of the flows as a group.

    Raises:
        InputError: the columns or the shape are not those, or the numbers were scaled.
    """
    packets = _datazoo_packets(data)
    if labels is None:
        labels = data["APP"] if hasattr(data, "columns") and "APP" in data.columns else [None] * len(packets)
    if len(labels) != len(packets):
        raise InputError(f"datazoo: {len(labels)} labels for {len(packets)} flows")
    milliseconds, direction, length = packets[:, 0], packets[:, 1], packets[:, 2]
    there = direction != 0
    if (length != np.floor(length)).any() or not np.isin(direction, (-1, 0, 1)).all():
        raise InputError("datazoo: sizes and directions that are no whole numbers; take the flows before scaling")
    kept = there.any(axis=1)
    count = there.sum(axis=1)[kept]
    protocol = np.full(len(count), -1, np.int32)
    if hasattr(data, "columns") and "PROTOCOL" in data.columns:
        protocol = np.asarray(data["PROTOCOL"], np.int32)[kept]
    flows = FlowArrays(
        offsets=np.concatenate([[0], np.cumsum(count)]),
        payload_length=length[there].astype(np.int32),
        direction=direction[there].astype(np.int8),
        inter_arrival_time=(milliseconds[there] / 1000).astype(np.float32),
        label=np.array(_class_names(labels), object)[kept],
        flow_id=np.array([f"{capture}#{row + 1}" for row in np.flatnonzero(kept)], object),
        capture=np.full(len(count), capture, object),
        protocol=protocol,
        packet_count=count.astype(np.int32),
    )
    return conform_flows(flows.to_dataset(), "datazoo")


def _class_names(labels) -> list[str | None]:
    """The `labels` of a list, array or pandas column as text; None where they are missing."""
    if hasattr(labels, "isna"):  # pandas has several values for what is missing
        labels = labels.to_numpy(object, na_value=None)
    unreadable: Counter[str] = Counter()
    names = [
        text_of(label, "label", unreadable) for label in (labels.tolist() if hasattr(labels, "tolist") else labels)
    ]
    for problem, count in unreadable.items():
        log(f"datazoo: {problem}: {count}")
    return names


def _datazoo_packets(data) -> np.ndarray:
    """The packets in `data` as (N, C, L) float64."""
    if not hasattr(data, "columns"):
        packets = np.asarray(data)
    elif "PPI" in data.columns:
        try:
            packets = np.stack([np.asarray(one) for one in data["PPI"]])
        except ValueError as error:
            raise InputError(f"datazoo: the arrays of column 'PPI' differ in shape ({error})") from error
    else:
        found = [match for match in map(_FLAT_COLUMN.fullmatch, map(str, data.columns)) if match]
        width = max((int(match.group(2)) for match in found), default=0)
        names = [[f"{kind}_{place}" for place in range(1, width + 1)] for kind in ("IPT", "DIR", "SIZE")]
        missing = [name for row in names for name in row if name not in data.columns]
        if missing or not width:
            raise InputError(f"datazoo: no column 'PPI', nor flat columns with {', '.join(missing[:3]) or 'IPT_1'}")
        packets = np.stack([data[row].to_numpy() for row in names], axis=1)
    if packets.ndim != 3 or packets.shape[1] not in (3, 4):
        raise InputError(f"datazoo: packets of shape {packets.shape}; wanted (flows, 3 or 4, packets)")
    return packets.astype(np.float64)
