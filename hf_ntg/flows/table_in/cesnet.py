"""CESNET data sets: CSV files with per-packet information (PPI), and the form that DataZoo hands out.

Sources: CESNET-QUIC22, CESNET-TLS22, CESNET-TLS-Year22 (https://www.liberouter.org/technology-v2/tools-services-datasets/).
PPI is ``[[inter-packet times in ms], [directions], [sizes]]``, TLS-Year22 and DataZoo add a row of push flags; it holds
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
from hf_ntg.flows.reading import (
    BrokenFileError,
    FlowBatch,
    Tell,
    csv_rows,
    no_columns,
    open_unpacked,
    packed_address,
)
from hf_ntg.flows.schema import conform_flows
from hf_ntg.flows.table_in.flow_rows import FlowRows

__all__ = ["CesnetReader", "from_datazoo"]

_BATCH = 10_000
_FLAT_COLUMN = re.compile(r"(IPT|DIR|SIZE)_(\d+)")


class CesnetReader:
    """Streams the flows of a CESNET CSV file, plain or gzip.

    Args:
        path: the file. capture: name of the file's flows as a group; the file's name when None.
        label_column: column that holds the class. max_packets: packets to keep of each flow.
        tell: told the bytes read from the disk.

    Attributes:
        skipped, noticed, broken: see :class:`hf_ntg.flows.reading.FlowReader`.
    """

    def __init__(
        self,
        path: str | Path,
        capture: str | None = None,
        label_column: str = "APP",
        max_packets: int | None = None,
        tell: Tell | None = None,
    ) -> None:
        self.path = Path(path)
        self.capture = self.path.name.removesuffix(".gz").removesuffix(".csv") if capture is None else capture
        self.label_column = label_column
        self.broken: BrokenFileError | None = None
        self._rows = FlowRows(max_packets)
        self._tell = tell

    @property
    def skipped(self) -> Counter[str]:
        return self._rows.skipped

    @property
    def noticed(self) -> Counter[str]:
        return self._rows.noticed

    def __iter__(self) -> Iterator[FlowBatch]:
        try:
            with open_unpacked(self.path, self._tell) as file:
                for number, row in enumerate(csv_rows(file, self.path, self._check_header), start=1):
                    self._add(row, number)
                    if len(self._rows) >= _BATCH:
                        yield self._rows.take()
        except BrokenFileError as error:
            self.broken = error.with_traceback(None)  # whose frames would keep the last block in memory
        if len(self._rows):
            yield self._rows.take()

    def _check_header(self, found: list[str]) -> None:
        missing = [name for name in ("PPI", self.label_column) if name not in found]
        if missing:
            raise no_columns(self.path, missing, found, "name the class with --label-column")

    def _add(self, row: dict[str, str] | None, number: int) -> None:
        if row is None:
            self.skipped["a row with more or fewer fields than the header"] += 1
            return
        try:
            packets = json.loads(row["PPI"])
        except (ValueError, RecursionError):
            packets = None
        if not isinstance(packets, list) or len(packets) not in (3, 4) or not isinstance(packets[0], list):
            self.skipped["a PPI that is not three or four lists"] += 1
            return
        milliseconds, direction, length = _unpadded(packets[:3])
        seconds = [one / 1000 if isinstance(one, int | float) else None for one in milliseconds]
        total = [row.get(name, "") for name in ("PACKETS", "PACKETS_REV")]
        self._rows.add(
            length,
            direction,
            seconds,
            flow_id=f"{self.capture}#{row.get('ID') or number}",
            label=row[self.label_column] or None,
            capture=self.capture,
            protocol=row.get("PROTOCOL"),
            source_port=row.get("SRC_PORT"),
            destination_port=row.get("DST_PORT"),
            packet_count=sum(map(int, total)) if all(one.isdecimal() and len(one) < 10 for one in total) else None,
            source=packed_address(row.get("SRC_IP")),
            destination=packed_address(row.get("DST_IP")),
            sni=row.get("QUIC_SNI") or row.get("TLS_SNI") or None,
        )


def _unpadded(packets: list) -> list:
    """Rows without the zeros behind the last packet that arrays of a fixed width have."""
    if not all(isinstance(row, list) for row in packets) or len(set(map(len, packets))) > 1:
        return packets
    size = len(packets[1])
    while size and packets[1][size - 1] == 0 and packets[2][size - 1] == 0:
        size -= 1
    return [row[:size] for row in packets]


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
        label=np.array([None if label is None else str(label) for label in labels], object)[kept],
        flow_id=np.array([f"{capture}#{row + 1}" for row in np.flatnonzero(kept)], object),
        capture=np.full(len(count), capture, object),
        protocol=protocol,
        packet_count=count.astype(np.int32),
    )
    return conform_flows(flows.to_dataset(), "datazoo")


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
