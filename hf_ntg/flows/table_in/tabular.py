"""Flow tables with columns of other names: Parquet or CSV as NetFlow exporters and papers publish them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from hf_ntg.errors import InputError
from hf_ntg.flows.reading import (
    BrokenFileError,
    FlowBatch,
    Tell,
    csv_rows,
    no_columns,
    open_unpacked,
    packed_address,
)
from hf_ntg.flows.schema import FLOW_FEATURES, PACKET_COLUMNS
from hf_ntg.flows.table_in.flow_rows import FlowRows

__all__ = ["TableReader", "listed", "parse_columns"]

_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_ADDRESSES = ("source", "destination")
_BATCH = 10_000
_SEPARATORS = re.compile(r"[\s,;|]+")
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d{1,3})?")


def parse_columns(pairs: list[str]) -> dict[str, str]:
    """``["payload_length=SIZES", "inter_arrival_time=GAPS:ms"]`` as a mapping from our names to theirs.

    Raises:
        InputError: a pair is not ``ours=theirs``, or the name before ``=`` is none of ours.
    """
    columns = {}
    for pair in pairs:
        ours, separator, theirs = pair.partition("=")
        if not separator or not theirs:
            raise InputError(f"columns: {pair!r} is not OURS=THEIRS, such as payload_length=PKT_SIZES")
        if ours not in FLOW_FEATURES and ours not in _ADDRESSES:
            raise InputError(f"columns: {ours!r} is none of {', '.join([*FLOW_FEATURES, *_ADDRESSES])}")
        columns[ours] = theirs
    return columns


class TableReader:
    """Streams the flows of a Parquet or CSV file (plain or gzip) whose columns have other names.

    Args:
        path: the file.
        columns: our column names to theirs; columns that already have our names need not be listed. Lists may be text
            (JSON, or numbers with blanks, commas, semicolons or bars between). ``inter_arrival_time=NAME:ms`` tells the
            unit (s, ms, us, ns). Directions are +1 and -1, or 0 and 1 (from and towards the initiator); with no
            direction column the sign of the lengths is the direction.
        capture: value of ``capture`` where no column tells it; the file's name when None.
        max_packets: packets to keep of each flow. tell: told the bytes read.

    Attributes:
        skipped, noticed, broken: see :class:`hf_ntg.flows.reading.FlowReader`.
    """

    def __init__(
        self,
        path: str | Path,
        columns: dict[str, str],
        capture: str | None = None,
        max_packets: int | None = None,
        tell: Tell | None = None,
    ) -> None:
        self.path = Path(path)
        self.capture = self.path.name if capture is None else capture
        self.broken: BrokenFileError | None = None
        self._rows = FlowRows(max_packets)
        self._tell = tell
        self._names = {name: name for name in (*FLOW_FEATURES, *_ADDRESSES)} | columns
        time, _, unit = self._names["inter_arrival_time"].rpartition(":")
        if time and unit in _UNITS:
            self._names["inter_arrival_time"], self._unit = time, _UNITS[unit]
        else:
            self._unit = 1.0
        self._asked = set(columns)

    @property
    def skipped(self) -> Counter[str]:
        return self._rows.skipped

    @property
    def noticed(self) -> Counter[str]:
        return self._rows.noticed

    def __iter__(self) -> Iterator[FlowBatch]:
        rows = self._parquet_rows() if self.path.suffix == ".parquet" else self._csv_rows()
        try:
            for number, row in enumerate(rows, start=1):
                self._add(row, number)
                if len(self._rows) >= _BATCH:
                    yield self._rows.take()
        except BrokenFileError as error:
            self.broken = error.with_traceback(None)  # whose frames would keep the last block in memory
        if len(self._rows):
            yield self._rows.take()

    def _parquet_rows(self) -> Iterator[dict | None]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with pq.ParquetFile(self.path) as file:
                self._check_header(file.schema_arrow.names)
                wanted = [name for name in self._names.values() if name in file.schema_arrow.names]
                for batch in file.iter_batches(_BATCH, columns=wanted):
                    yield from _rows_of(batch)
                    if self._tell is not None:
                        self._tell(self.path.stat().st_size * len(batch) // file.metadata.num_rows)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise BrokenFileError(f"{self.path}: not a readable Parquet file ({str(error).splitlines()[0]})") from error

    def _csv_rows(self) -> Iterator[dict]:
        with open_unpacked(self.path, self._tell) as file:
            yield from csv_rows(file, self.path, self._check_header)

    def _check_header(self, found: list[str]) -> None:
        wanted = {ours: theirs for ours, theirs in self._names.items() if ours in self._asked}
        missing = [theirs for theirs in wanted.values() if theirs not in found]
        if "payload_length" not in wanted and self._names["payload_length"] not in found:
            missing.append(self._names["payload_length"])
        if missing:
            raise no_columns(self.path, missing, found, "name them with --columns OURS=THEIRS")
        self._rows.has_times = self._names["inter_arrival_time"] in found
        self._rows.has_windows = self._names["tcp_window"] in found

    def _add(self, row: dict | None, number: int) -> None:
        if row is None:
            is_csv = self.path.suffix != ".parquet"
            reason = "a row with more or fewer fields than the header" if is_csv else "values that cannot be read"
            self.skipped[reason] += 1
            return
        facts = {ours: row.get(theirs) for ours, theirs in self._names.items()}
        length, direction, seconds, window = (listed(facts.pop(name)) for name in PACKET_COLUMNS)
        if direction is None and isinstance(length, list):
            direction = [-1 if _negative(one) else 1 for one in length]
            length = [abs(one) if isinstance(one, int | float) else one for one in length]
        elif isinstance(direction, list) and 0 in direction and -1 not in direction:
            direction = [1 if one == 0 else -1 if one == 1 else 0 for one in direction]
        if seconds is not None and self._unit != 1.0:
            seconds = [one * self._unit if isinstance(one, int | float) else one for one in seconds]
        for name in _ADDRESSES:
            facts[name] = packed_address(facts[name])
        facts["capture"] = _text(facts["capture"]) or self.capture
        facts["flow_id"] = _text(facts["flow_id"]) or f"{facts['capture']}#{number}"
        facts["label"] = _text(facts["label"])
        self._rows.add(length, direction, seconds, window, **facts)


def _rows_of(batch) -> list[dict | None]:
    """The rows of a record batch, None for one that holds what Python cannot (text that is not UTF-8)."""
    try:
        return batch.to_pylist()
    except ValueError:
        return (
            [None] if len(batch) == 1 else [row for one in range(len(batch)) for row in _rows_of(batch.slice(one, 1))]
        )


def listed(cell: object) -> list | None:
    """A cell as a list of numbers: a list as it is, text as JSON or as numbers with separators between, else None."""
    if not isinstance(cell, str):
        return cell
    try:
        numbers = json.loads(cell)
        return numbers if isinstance(numbers, list) else [numbers]
    except (ValueError, RecursionError):
        parts = [part for part in _SEPARATORS.split(cell.strip("()[]{} ")) if part]
        return [float(part) if _NUMBER.fullmatch(part) else None for part in parts] or None


def _negative(value: object) -> bool:
    return isinstance(value, int | float) and value < 0


def _text(value: object) -> str | None:
    return None if value is None or value == "" else str(value)
