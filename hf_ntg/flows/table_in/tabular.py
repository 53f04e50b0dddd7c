"""Reads flow tables with columns of other names: Parquet, CSV or JSON, as exporters and papers publish them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pyarrow as pa
from datasets import ClassLabel, Features

from hf_ntg.errors import InputError
from hf_ntg.flows.byte_stream import BrokenFileError, OnRead
from hf_ntg.flows.parquet import PARQUET_MAGIC, open_parquet
from hf_ntg.flows.provenance import PROVENANCE_COLUMN, Provenance, marks_in_text, provenance_of_file
from hf_ntg.flows.reading import no_columns, packed_address
from hf_ntg.flows.schema import FLOW_FEATURES, PACKET_COLUMNS
from hf_ntg.flows.table_in.conventions import UNITS, Declared, Survey
from hf_ntg.flows.table_in.list_cells import TRUTH, Dates, direction_list, has_decimal_commas, listed
from hf_ntg.flows.table_in.ppi import PPI_COLUMNS, PPI_FACTS, ppi_lists, ppi_ragged
from hf_ntg.flows.table_in.ragged import Ragged
from hf_ntg.flows.table_in.raw_batch import RawBatch
from hf_ntg.flows.table_in.records import header_of, records
from hf_ntg.flows.table_in.table_file import BATCH, TableFile
from hf_ntg.flows.table_in.totals import REMEDY, totals_of

__all__ = ["TableReader", "known_export", "parse_columns"]

_FIRST_ROWS = 100  # rows that tell whether commas are decimal
_ADDRESSES = ("source", "destination")
_OURS = (*FLOW_FEATURES, *_ADDRESSES, "timestamp", "ppi")
_UNIT_IN_NAME = re.compile(
    r"(?:^|[_ (.\[])(ms|us|ns|s|msec|usec|nsec|sec|secs|seconds|millis|micros|nanos|millisec(?:ond)?s?|"
    r"microsec(?:ond)?s?|nanosec(?:ond)?s?)[)\]]?$",
    re.IGNORECASE,
)
_NFSTREAM = {
    "payload_length": "splt_ps",
    "direction": "splt_direction",
    "inter_arrival_time": "splt_piat_ms:ms",
    "label": "application_name",
    "source_port": "src_port",
    "destination_port": "dst_port",
    "packet_count": "bidirectional_packets",
    "source": "src_ip",
    "destination": "dst_ip",
}


def parse_columns(pairs: list[str]) -> dict[str, str]:
    """``["payload_length=SIZES", "inter_arrival_time=GAPS:ms"]`` as a mapping from our names to theirs.

    Raises:
        InputError: a pair is not ``ours=theirs``, or the name before ``=`` is none of ours.
    """
    columns: dict[str, str] = {}
    for pair in pairs:
        ours, separator, theirs = pair.partition("=")
        if not separator or not theirs:
            raise InputError(f"columns: {pair!r} is not OURS=THEIRS, such as payload_length=PKT_SIZES")
        if ours not in _OURS:
            raise InputError(f"columns: {ours!r} is none of {', '.join(_OURS)}")
        if columns.get(ours, theirs) != theirs:
            raise InputError(f"columns: {ours!r} is given twice ({columns[ours]}, {theirs})")
        columns[ours] = theirs
    if "ppi" in columns and {"timestamp", *PACKET_COLUMNS} & set(columns):
        raise InputError("columns: 'ppi' holds all packet lists; give no other column of packets")
    if {"timestamp", "inter_arrival_time"} <= set(columns):
        raise InputError("columns: give either 'inter_arrival_time' or 'timestamp', not both")
    return columns


def known_export(names: list[str]) -> dict[str, str]:
    """Our column names to those of a known tool's export with the column `names`; empty if it is unknown."""
    if {"splt_ps", "splt_direction"} <= set(names):
        return {ours: theirs for ours, theirs in _NFSTREAM.items() if theirs.partition(":")[0] in names}
    return {}


class TableReader(TableFile):
    """Streams the flows of a Parquet, CSV or JSON table (plain or packed) whose columns have other names.

    Lists may be text (JSON, or numbers with blanks, commas, semicolons or bars between). What numbers mean is decided
    for the whole file, see :mod:`hf_ntg.flows.table_in.conventions`.

    Args:
        path: the file.
        columns: our column names to theirs; columns with our names need not be listed. ``inter_arrival_time=NAME:ms``
            gives the unit (s, ms, us, ns), ``timestamp=NAME`` in its place says that the times are those of packets,
            and ``direction=NAME:UP/DOWN`` gives the cells for packets from and to the flow's initiator. Without a
            direction column, the sign of a length is the direction. ``ppi=NAME:ms`` names one column of all packet
            lists, see :mod:`hf_ntg.flows.table_in.ppi`; a column ``PPI`` need not be named.
        label_column: column with the class of a table with ``PPI``.
        capture: value of ``capture`` where no column gives it; the file's name when None.
        max_packets, on_read, scratch: see :class:`hf_ntg.flows.table_in.table_file.TableFile`.

    Attributes:
        marks: the marks of synthetic flows in the table. Valid once it has been read.
    """

    def __init__(
        self,
        path: str | Path,
        columns: dict[str, str],
        capture: str | None = None,
        max_packets: int | None = None,
        on_read: OnRead | None = None,
        scratch: Path | None = None,
        label_column: str = "APP",
    ) -> None:
        super().__init__(path, Path(path).name if capture is None else capture, max_packets, on_read, scratch)
        self._columns = columns
        self._label_column = label_column
        self._ppi: str | None = None  # the column of all packet lists
        self._is_parquet = False
        self.marks: dict[Provenance, None] = {}  # of synthetic flows, in order
        self._last_marks: object = None
        self._class_names: pa.Array | None = None  # of a label column with codes
        self._dates = Dates()
        self._with_commas: set[str] = set()  # packet columns whose numbers have decimal commas
        self._one_number = 0  # rows whose lengths are a number, not a list
        self._rows = 0

    def read_rows(self) -> Iterator[None]:
        self._find_columns(header_of(self.path))
        first = [row for row in islice(records(self.path), _FIRST_ROWS) if isinstance(row, dict)]
        self._with_commas = {
            name for name in self.has if has_decimal_commas(row.get(self._names.get(name, "")) for row in first)
        }
        if self._with_commas:
            self.noticed["tables with decimal commas"] += 1
        for row in records(self.path, self._on_read):
            self._rows += 1
            if isinstance(row, str):
                self.skip(row)
            else:
                self._add_row(row)
            yield

    def _raw_batches(self) -> Iterator[RawBatch]:
        with self.path.open("rb") as file:
            self._is_parquet = file.read(4) == PARQUET_MAGIC
        if not self._is_parquet:
            yield from super()._raw_batches()
            return
        try:
            with open_parquet(self.path) as file:
                self._find_columns(file.schema_arrow.names)
                self.marks |= dict.fromkeys(provenance_of_file(file.schema_arrow))
                self._class_names = _class_names(file.schema_arrow, self._names["label"])
                if not self._columns and _is_ours(file.schema_arrow):
                    self.declared = Declared(up="1", down="-1", unit=UNITS["s"], timestamps=False)
                named = [
                    name
                    for name in (*self._names.values(), self._ppi, PROVENANCE_COLUMN)
                    if name in file.schema_arrow.names
                ]
                packets = [self._names[name] for name in (self.has if self._ppi is None else ())]
                file.refuse_nested({name: 2 if name == self._ppi else int(name in packets) for name in named})
                wanted = list(dict.fromkeys(named))
                size, total = file.rows_at_once(BATCH), max(file.metadata.num_rows, 1)
                for batch in file.iter_batches(size, columns=wanted, use_threads=False):
                    yield from self._of_arrow(batch)
                    if self._on_read is not None:
                        self._on_read(self.path.stat().st_size * len(batch) // total)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            reason = (str(error).splitlines() or ["?"])[0]
            self.broken = BrokenFileError(f"{self.path}: not a readable Parquet file ({reason})")
        except BrokenFileError as error:
            self.broken = error.with_traceback(None)

    def _of_arrow(self, batch: pa.RecordBatch) -> Iterator[RawBatch]:
        """A record batch as raw rows; rows that hold what Python cannot (text that is not UTF-8) are skipped."""
        try:
            cells = {name: _cells(batch.column(name)) for name in batch.schema.names}
            if self._class_names is not None:
                cells[self._names["label"]] = self._class_names.take(batch.column(self._names["label"])).to_pylist()
        except (ValueError, pa.ArrowException):
            if len(batch) == 1:
                self.skip("values that cannot be read")
                self._rows += 1
                return
            half = len(batch) // 2
            yield from self._of_arrow(batch.slice(0, half))
            yield from self._of_arrow(batch.slice(half))
            return
        for row in range(len(batch)):
            self._rows += 1
            self._add_row({name: column[row] for name, column in cells.items() if column is not None})
        raw = self._take()
        if self._ppi is not None:
            raw.lists |= ppi_ragged(batch.column(self._ppi)) or {}
        for name in self.has if self._ppi is None else ():
            column = batch.column(self._names[name])
            if _is_list(column.type):
                raw.lists[name] = Ragged.of_arrow(column)
        yield raw

    def _find_columns(self, found: list[str]) -> None:
        """Match our columns with those of the table."""
        if self._find_ppi(found):
            return
        columns = self._columns or known_export(found)
        if columns and columns is not self._columns:
            self.noticed["tables of nfstream: splt_ps counts payload only with accounting_mode=3"] += 1
        self._names = {name: name for name in _OURS} | columns
        has_timestamp = "timestamp" in columns or ("timestamp" in found and "inter_arrival_time" not in columns
                                                   and "inter_arrival_time" not in found)  # fmt: skip
        if has_timestamp:
            self._names["inter_arrival_time"] = self._names["timestamp"]
            self.declared = replace(self.declared, timestamps=True)
        del self._names["timestamp"]
        self._take_unit(found)
        self._take_directions(found)
        wanted = {ours for ours in columns if ours != "timestamp"} | {"payload_length"}
        missing = [self._names[ours] for ours in self._names if ours in wanted and self._names[ours] not in found]
        if missing:
            tool = totals_of(found)
            if tool is not None and self._names["payload_length"] in missing:
                raise InputError(f"{self.path}: this table ({tool}) {REMEDY}")
            raise no_columns(self.path, missing, found, "name them with --columns OURS=THEIRS")
        self.has = tuple(name for name in PACKET_COLUMNS if self._names[name] in found)

    def _find_ppi(self, found: list[str]) -> bool:
        """Match our columns with those of a table whose packet lists are in one column; False if it is no such."""
        given = self._columns.get("ppi")
        if given is None and ("PPI" not in found or {"payload_length", *PACKET_COLUMNS} & {*self._columns, *found}):
            return False
        column, _, unit = (given or "PPI").rpartition(":")
        if not column or unit not in UNITS or given in found:
            column, unit = given or "PPI", "ms"
        usual = {ours: theirs for ours, theirs in PPI_FACTS.items() if ours not in found}
        if "label" not in found or self._label_column != "APP":
            usual["label"] = self._label_column
        self._names = {name: name for name in (*FLOW_FEATURES, *_ADDRESSES)} | usual | self._columns
        for name in ("ppi", *PACKET_COLUMNS):
            self._names.pop(name, None)
        named = [self._names[ours] for ours in self._columns if ours != "ppi"]
        missing = [name for name in (column, *named) if name not in found]
        if missing:
            raise no_columns(self.path, missing, found, "name them with --columns OURS=THEIRS")
        if self._names["label"] not in found and self._label_column != "APP":
            raise no_columns(self.path, [self._label_column], found, "name the class with --label-column")
        self._ppi = column
        self.has = tuple(name for name in PACKET_COLUMNS if name in PPI_COLUMNS)
        self.declared = Declared(up="1", down="-1", unit=UNITS[unit], timestamps=False)
        return True

    def _take_unit(self, found: list[str]) -> None:
        name = self._names["inter_arrival_time"]
        column, _, unit = name.rpartition(":")
        if column and unit in UNITS and name not in found:
            self._names["inter_arrival_time"] = column
            self.declared = replace(self.declared, unit=UNITS[unit])
            return
        match = _UNIT_IN_NAME.search(name)
        if match:
            letters = match[1].lower()
            unit = "us" if letters.startswith("mic") else "ms" if letters.startswith("mil") else letters[:2].strip("e")
            unit = {"se": "s", "na": "ns"}.get(letters[:2], unit)
            self.declared = replace(self.declared, unit=UNITS[unit])
            self.noticed[f"columns of times in {unit}, by their name ({name!r})"] += 1

    def _take_directions(self, found: list[str]) -> None:
        name = self._names["direction"]
        column, _, pair = name.rpartition(":")
        if column and name not in found:
            up, slash, down = pair.partition("/")
            if not slash or not up or not down or up == down:
                raise InputError(f"columns: 'direction={name}': after the colon give UP/DOWN, such as out/in or 0/1")
            self._names["direction"] = column
            self.declared = replace(self.declared, up=_plain(up), down=_plain(down))

    def check(self, survey: Survey) -> None:
        if self._dates.kind is not None:
            self.declared = replace(self.declared, unit=UNITS["s"], timestamps=self._dates.kind == "dates")
            self.noticed[f"columns of times that hold {self._dates.kind}"] += 1
        if survey.rows and self._one_number == self._rows:
            name = self._ppi or self._names["payload_length"]
            raise InputError(
                f"{self.path}: column {name!r} has one number a row, not a list: the table {REMEDY} (flows of "
                "one packet each are written as lists, such as [597])"
            )

    def _take_marks(self, cell: object) -> None:
        """Take the marks in the column ``provenance``; whoever has them has the table from this package."""
        if cell != self._last_marks:
            self._last_marks = cell
            marks = marks_in_text(cell)
            if marks and not self.marks and not self._columns:
                self.declared = Declared(up="1", down="-1", unit=UNITS["s"], timestamps=False)
            self.marks |= dict.fromkeys(marks or ())

    def _add_row(self, row: dict) -> None:
        self._take_marks(row.get(PROVENANCE_COLUMN))
        if self._ppi is None:
            cells = {name: row.get(self._names[name]) for name in self.has}
        else:
            cells = ppi_lists(row.get(self._ppi, []))
        length = cells.get("payload_length")
        self._one_number += _is_one_number(length)
        facts = {ours: row.get(self._names[ours]) for ours in self._names if ours not in PACKET_COLUMNS}
        for name in _ADDRESSES:
            facts[name] = packed_address(facts[name])
        facts["capture"] = facts["capture"] or self.capture
        facts["flow_id"] = facts["flow_id"] or f"{facts['capture']}#{self._rows}"
        lengths, times, windows = (
            listed(cells.get(name), name in self._with_commas)
            for name in ("payload_length", "inter_arrival_time", "tcp_window")
        )
        times = self._dates.seconds(times)
        self.add(lengths, direction_list(cells.get("direction"), self.words), times, windows, **facts)


def _is_ours(schema: pa.Schema) -> bool:
    """Are the packet columns those that the package itself writes, by name and type?"""
    return all(
        name in schema.names and schema.field(name).type == FLOW_FEATURES.arrow_schema.field(name).type
        for name in ("payload_length", "direction", "inter_arrival_time")
    )


def _class_names(schema: pa.Schema, label: str) -> pa.Array | None:
    """The names of the classes if `label` is a column of their codes, as datasets describes it in the metadata."""
    try:
        feature = Features.from_arrow_schema(schema).get(label)
    except (ValueError, TypeError, KeyError, AttributeError):  # bad metadata can cause any of these
        return None
    return pa.array(feature.names, pa.string()) if isinstance(feature, ClassLabel) else None


def _plain(value: str) -> str:
    """A declared direction as conventions compare it: numbers in their shortest form, words in lower case."""
    text = value.strip().lower()
    number = TRUTH.get(text, float(text) if _floats(text) else None)
    return text if number is None else f"{number:g}"


def _is_one_number(cell: object) -> bool:
    if isinstance(cell, str):
        text = cell.strip()
        return not text.startswith(("[", "(")) and len(text.split()) == 1 and _floats(text)
    return isinstance(cell, int | float)


def _floats(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_list(kind: pa.DataType) -> bool:
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return is_list and (pa.types.is_integer(kind.value_type) or pa.types.is_floating(kind.value_type))


def _cells(column: pa.Array) -> list | None:
    """The cells of a column; None for lists of numbers, which need not pass through Python."""
    if _is_list(column.type) or ppi_ragged(column[:0]) is not None:
        return None
    if pa.types.is_dictionary(column.type):  # a long text in many rows is one object
        texts = column.dictionary.to_pylist()
        return [None if index is None else texts[index] for index in column.indices.to_pylist()]
    return column.to_pylist()
