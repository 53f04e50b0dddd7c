"""The base of all readers of flow tables: rows are read once, conventions decided from all of them, then applied.

Rows wait, unconverted, in a temporary file that begins in memory. One bad row is counted and loses nothing else.
"""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.byte_stream import BrokenFileError, OnRead
from hf_ntg.flows.columns import MAX_LABEL
from hf_ntg.flows.reading import FlowBatch
from hf_ntg.flows.schema import MAX_PAYLOAD, PACKET_COLUMNS
from hf_ntg.flows.table_in.conventions import Convention, Declared, Survey, decide, trailing
from hf_ntg.flows.table_in.ragged import Ragged

__all__ = ["BATCH", "RawBatch", "TableFile"]

BATCH = 10_000
_BATCH_PACKETS = 2_000_000
_IN_MEMORY = 64 << 20  # bytes of waiting rows; more are on disk
_MOST_PACKETS = 2**31 - 1
_KNOWN_SHARE = 0.9  # of rows with times, below which the column is left out
_NUMBERS = {"protocol": 255, "source_port": 65_535, "destination_port": 65_535, "packet_count": _MOST_PACKETS}
_PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, "sctp": 132}
_TEXTS = ("flow_id", "label", "capture", "sni")


class RawBatch:
    """Rows whose packet lists have not been converted yet: ``lists`` by column, and the other columns."""

    def __init__(self, lists: dict[str, Ragged], facts: dict[str, list]) -> None:
        self.lists, self.facts = lists, facts

    def __len__(self) -> int:
        return len(self.lists["payload_length"])

    def to_record_batch(self) -> pa.RecordBatch:
        columns = {}
        for name, one in self.lists.items():
            offsets = pa.array(np.concatenate([[0], np.cumsum(one.lengths)]), pa.int64())
            columns[name] = pa.LargeListArray.from_arrays(offsets, pa.array(one.values))
            columns[f"{name} counts"] = pa.array(one.counts)
            columns[f"{name} unreadable"] = pa.array(one.unreadable)
        for name in _TEXTS:
            columns[name] = pa.array(self.facts[name], pa.large_string())
        for name in _NUMBERS:
            columns[name] = pa.array(self.facts[name], pa.int32())
        for name in ("source", "destination"):
            columns[name] = pa.array(self.facts[name], pa.binary())
        return pa.RecordBatch.from_pydict(columns)

    @classmethod
    def from_record_batch(cls, batch: pa.RecordBatch) -> RawBatch:
        names = batch.schema.names
        lists = {
            name: Ragged(
                batch.column(f"{name} counts").to_numpy(),
                batch.column(name).flatten().to_numpy(),
                batch.column(f"{name} unreadable").to_numpy(zero_copy_only=False),
            )
            for name in PACKET_COLUMNS
            if name in names
        }
        facts = {name: batch.column(name).to_pylist() for name in (*_TEXTS, *_NUMBERS, "source", "destination")}
        return cls(lists, facts)


class TableFile(ABC):
    """Streams the flows of a table of packet lists.

    A subclass names the columns in :meth:`open_rows` and hands every row to :meth:`add`.

    Args:
        path: the file. capture: value of ``capture`` where no column gives it.
        max_packets: packets to keep of each flow. on_read: called with the bytes read from the disk.
        scratch: folder for rows that wait; the system's when None.

    Attributes:
        declared: what is known of the table's conventions before it is read.
        has: the packet columns that the table has.
        skipped, noticed, broken: see :class:`hf_ntg.flows.reading.FlowReader`.
    """

    def __init__(
        self,
        path: str | Path,
        capture: str,
        max_packets: int | None = None,
        on_read: OnRead | None = None,
        scratch: Path | None = None,
    ) -> None:
        if max_packets is not None and max_packets < 1:
            raise InputError(f"max_packets {max_packets}: keep at least 1 packet of a flow")
        self.path = Path(path)
        self.capture = capture
        self.max_packets = max_packets
        self.declared = Declared()
        self.has: tuple[str, ...] = PACKET_COLUMNS
        self.words: dict[str, int] = {}
        self.skipped: Counter[str] = Counter()
        self.noticed: Counter[str] = Counter()
        self.broken: BrokenFileError | None = None
        self._on_read = on_read
        self._scratch = scratch
        self._clear()

    @abstractmethod
    def read_rows(self) -> Iterator[None]:
        """Read the file, and call :meth:`add` or :meth:`skip` for each row; yield now and then.

        Raises:
            BrokenFileError: the file breaks off; the rows before it were added. InputError: it is no such table.
        """

    def check(self, survey: Survey) -> None:  # noqa: B027 (a hook that most readers do not need)
        """Raise InputError if `survey` shows that the file is not what the reader reads."""

    def skip(self, reason: str) -> None:
        """Count a row that is left out."""
        self.skipped[reason] += 1

    def add(self, length: object, direction: object = None, times: object = None, windows: object = None, **facts):
        """Take a row: packet lists as the file has them, and the other columns, ``source`` and ``destination``."""
        for name, cell in zip(PACKET_COLUMNS, (length, direction, times, windows), strict=True):
            if name in self.has:
                self._cells[name].append(cell)
                self._packets += len(cell) if isinstance(cell, list) else 0
        for name in _TEXTS:
            self._facts[name].append(self._text(name, facts.get(name)))
        for name, most in _NUMBERS.items():
            self._facts[name].append(self._whole(name, facts.get(name), most))
        for name in ("source", "destination"):
            self._facts[name].append(facts.get(name) or b"")

    def __iter__(self) -> Iterator[FlowBatch]:
        survey = Survey("direction" in self.has, "inter_arrival_time" in self.has)
        with tempfile.SpooledTemporaryFile(
            _IN_MEMORY, dir=None if self._scratch is None else str(self._scratch)
        ) as waiting:
            writer = None
            try:
                for raw in self._raw_batches():
                    if writer is None:
                        survey = Survey("direction" in self.has, "inter_arrival_time" in self.has)
                        writer = pa.ipc.new_stream(waiting, raw.to_record_batch().schema)
                    survey.add(raw.lists)
                    writer.write_batch(raw.to_record_batch())
            finally:
                if writer is not None:
                    writer.close()
            if writer is None:
                return
            self.check(survey)
            convention = decide(survey, self.declared, self.words, str(self.path))
            for remark in convention.remarks:
                self.noticed[remark] += survey.rows
            waiting.seek(0)
            known = self._columns_to_keep(waiting)
            waiting.seek(0)
            for batch in pa.ipc.open_stream(waiting):
                flows = self._converted(RawBatch.from_record_batch(batch), convention, known)
                if len(flows):
                    yield flows

    def _raw_batches(self) -> Iterator[RawBatch]:
        try:
            for _ in self.read_rows():
                if len(self._facts["label"]) >= BATCH or self._packets >= _BATCH_PACKETS:
                    yield self._take()
        except BrokenFileError as error:
            self.broken = error.with_traceback(None)  # whose frames would keep the last block in memory
        if self._facts["label"]:
            yield self._take()

    def _clear(self) -> None:
        self._cells: dict[str, list] = {name: [] for name in PACKET_COLUMNS}
        self._facts: dict[str, list] = {name: [] for name in (*_TEXTS, *_NUMBERS, "source", "destination")}
        self._packets = 0

    def _take(self) -> RawBatch:
        raw = RawBatch({name: Ragged.of_lists(self._cells[name]) for name in self.has}, self._facts)
        self._clear()
        return raw

    def _columns_to_keep(self, waiting) -> set[str]:
        """The optional packet columns that are known in enough rows."""
        counts: Counter[str] = Counter()
        for batch in pa.ipc.open_stream(waiting):
            counts["rows"] += len(batch)
            for name in self.has:
                counts[name] += int((batch.column(f"{name} counts").to_numpy() >= 0).sum())
        kept = set(self.has)
        if "inter_arrival_time" in kept and counts["inter_arrival_time"] < _KNOWN_SHARE * counts["rows"]:
            kept.discard("inter_arrival_time")
            unknown = counts["rows"] - counts["inter_arrival_time"]
            self.noticed["flows without times, for which the column 'inter_arrival_time' is left out"] += unknown
        if "tcp_window" in kept and not counts["tcp_window"]:
            kept.discard("tcp_window")
        return kept

    def _converted(self, raw: RawBatch, convention: Convention, known: set[str]) -> FlowBatch:
        """The rows that are flows, by the file's convention; the others are counted by reason."""
        lists = {name: one for name, one in raw.lists.items() if name in known}
        kept = self._whole_rows(lists, convention)
        lists = {name: one.take(kept) for name, one in lists.items()}
        lists, had_packets = self._without_padding(lists, convention)
        rows = np.flatnonzero(kept)[had_packets]
        lists = {name: one.take(had_packets) for name, one in lists.items()}
        columns, problem = _columns(lists, convention)
        for reason, mask in problem.items():
            if mask.any():
                self.skipped[reason] += int(mask.sum())
        good = ~np.logical_or.reduce([np.zeros(len(rows), bool), *problem.values()])
        rows, counts = rows[good], lists["payload_length"].counts
        packets = np.repeat(good, counts)
        counts = counts[good]
        columns = {name: values[packets] for name, values in columns.items()}
        facts = {name: [cells[row] for row in rows] for name, cells in raw.facts.items()}
        uncut = self._uncut[good].tolist()
        facts["packet_count"] = [
            held if given is None else given for given, held in zip(facts["packet_count"], uncut, strict=True)
        ]
        return self._flow_batch(columns, counts, facts)

    def _whole_rows(self, lists: dict[str, Ragged], convention: Convention) -> np.ndarray:
        """(n,) bool: the lists of a row are there, readable and equally long."""
        length = lists["payload_length"]
        unreadable = np.logical_or.reduce([one.unreadable for one in lists.values()])
        missing = np.zeros(len(length), bool)
        unequal = np.zeros(len(length), bool)
        for name, one in lists.items():
            if name != "tcp_window":
                missing |= one.counts < 0
            is_short = name == "inter_arrival_time" and convention.short_gaps
            wanted = np.maximum(length.counts - 1, 0) if is_short else length.counts
            unequal |= (one.counts != wanted) & ~((name == "tcp_window") & (one.counts < 0))
        reasons = {
            "a packet list that is no list of numbers": unreadable,
            "a packet list is missing": missing & ~unreadable,
            "packet lists of unequal length": unequal & ~missing & ~unreadable,
            "no packets": (length.counts == 0) & ~unequal & ~missing & ~unreadable,
        }
        for reason, mask in reasons.items():
            if mask.any():
                self.skipped[reason] += int(mask.sum())
        return ~(unreadable | missing | unequal | (length.counts == 0))

    def _without_padding(
        self, lists: dict[str, Ragged], convention: Convention
    ) -> tuple[dict[str, Ragged], np.ndarray]:
        """The lists as the schema has them, without padding: gaps of all packets, windows of all rows.

        Also (n,) bool: rows that hold packets.
        """
        length = lists["payload_length"]
        counts = length.counts
        lists = dict(lists)
        times, windows = lists.get("inter_arrival_time"), lists.get("tcp_window")
        if times is not None and convention.short_gaps:
            filled = np.zeros(int(counts.sum()))
            starts = np.zeros(len(filled), bool)
            starts[(np.cumsum(counts) - counts)[counts > 0]] = True
            filled[~starts] = times.values
            lists["inter_arrival_time"] = Ragged(counts, filled, times.unreadable)
        if windows is not None:
            unknown = windows.counts < 0
            if unknown.any():
                self.noticed["flows without TCP windows, taken as 0"] += int(unknown.sum())
                filled = np.zeros(int(counts.sum()))
                filled[np.repeat(~unknown, counts)] = windows.values
                lists["tcp_window"] = Ragged(counts, filled, windows.unreadable)
        runs = trailing(length, lists.get("direction"), lists.get("inter_arrival_time"))
        run = np.zeros(len(length), np.int64)
        for kind in convention.padding:
            self.noticed[f"rows with padding ({kind}) behind the last packet, which was stripped"] += int(
                ((runs[kind] > 0) & (runs[kind] > run)).sum()
            )
            run = np.maximum(run, runs[kind])
        self.noticed += Counter()  # drops counts of 0
        held = counts - run
        if (held == 0).any():
            self.skipped["no packets"] += int((held == 0).sum())
        cut = held if self.max_packets is None else np.minimum(held, self.max_packets)
        position = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        inside = position < np.repeat(cut, counts)
        self._uncut = held[held > 0]
        return {name: Ragged(cut, one.values[inside], one.unreadable) for name, one in lists.items()}, held > 0

    def _flow_batch(self, columns: dict[str, np.ndarray], counts: np.ndarray, facts: dict[str, list]) -> FlowBatch:
        seconds = columns.get("inter_arrival_time")
        if seconds is not None and (seconds < 0).any():
            self.noticed["inter-arrival times below 0, taken as 0"] += int((seconds < 0).sum())
            seconds = np.maximum(seconds, 0)
        windows = columns.get("tcp_window")
        texts: dict[str, Any] = {name: _objects(facts[name]) for name in ("flow_id", "label", "capture")}
        numbers: dict[str, Any] = {
            name: np.array([-1 if one is None else one for one in facts[name]], np.int32) for name in _NUMBERS
        }
        flows = FlowArrays(
            offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            payload_length=columns["payload_length"].astype(np.int32),
            direction=columns["direction"].astype(np.int8),
            inter_arrival_time=None if seconds is None else seconds.astype(np.float32),
            tcp_window=None if windows is None else windows.astype(np.int32),
            **texts,
            **numbers,
        )
        return FlowBatch(flows, source=facts["source"], destination=facts["destination"], sni=facts["sni"])

    def _text(self, name: str, cell: object) -> str | None:
        """A cell as text; None where it is empty, or cannot be kept."""
        if cell is None or cell == "" or cell != cell:
            return None
        text = str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)
        if len(text) > MAX_LABEL:
            self.noticed[f"values of '{name}' of more than {MAX_LABEL:,} characters, taken as unknown"] += 1
            return None
        if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
            self.noticed[f"values of '{name}' that are not valid Unicode, taken as unknown"] += 1
            return None
        return text

    def _whole(self, name: str, cell: object, most: int) -> int | None:
        """A cell as a whole number from 0 to `most`; None where it is empty, and, counted, where it is none."""
        if cell is None or cell == "" or cell != cell:
            return None
        if name == "protocol" and isinstance(cell, str) and cell.strip().lower() in _PROTOCOLS:
            return _PROTOCOLS[cell.strip().lower()]
        try:
            number = float(cell)  # type: ignore[arg-type]  # whatever a file holds; what is no number raises
            if number == int(number) and 0 <= number <= most:
                return int(number)
        except (TypeError, ValueError, OverflowError):
            if isinstance(cell, str) and cell.strip().lower() in ("nan", "null", "none", "na", "-"):
                return None
        self.noticed[f"values of '{name}' that are no whole number from 0 to {most}, taken as unknown"] += 1
        return None


def _columns(lists: dict[str, Ragged], convention: Convention) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Packet columns in the schema's terms, and which rows have which problem."""
    length = lists["payload_length"]
    counts, values = length.counts, length.values
    direction = lists.get("direction")
    if direction is None:
        signs = np.where(np.signbit(values), -1, 1)
    else:
        signs = np.zeros(len(values), np.int64)
        for value, sign in convention.directions.items():
            signs[direction.values == value] = sign
    columns = {"payload_length": np.abs(values) if convention.signed else values, "direction": signs}
    found = {
        f"a payload length that is not 0 to {MAX_PAYLOAD}": ~_within(columns["payload_length"], MAX_PAYLOAD),
        "a direction that is neither of the two": signs == 0,
    }
    times, windows = lists.get("inter_arrival_time"), lists.get("tcp_window")
    if times is not None:
        columns["inter_arrival_time"] = seconds = _gaps(times, convention)
        with np.errstate(over="ignore"):
            found["an inter-arrival time that is not finite"] = ~np.isfinite(seconds.astype(np.float32))
    if windows is not None:
        columns["tcp_window"] = windows.values
        found["a TCP window that is not 0 to 65535"] = ~_within(windows.values, 65_535)
    row = np.repeat(np.arange(len(length)), counts)
    problems, seen = {}, np.zeros(len(length), bool)
    for reason, bad in found.items():
        rows = np.bincount(row[bad], minlength=len(length)) > 0
        problems[reason] = rows & ~seen
        seen |= rows
    for name, column in columns.items():
        columns[name] = np.nan_to_num(column, nan=0, posinf=0, neginf=0)  # of rows that are left out
    return columns, problems


def _gaps(times: Ragged, convention: Convention) -> np.ndarray:
    """Inter-arrival times in seconds; an unknown or absent first one is 0."""
    values = times.values
    starts = (np.cumsum(times.counts) - times.counts)[times.counts > 0]
    if convention.timestamps:
        values = np.diff(values, prepend=0.0)
        values[starts] = 0
    else:
        values = values.copy()
        values[starts[np.isnan(values[starts])]] = 0
    return values * convention.unit


def _within(values: np.ndarray, high: int) -> np.ndarray:
    return (values >= 0) & (values <= high) & (values == np.floor(values))


def _objects(cells: list) -> np.ndarray:
    column = np.empty(len(cells), object)
    column[:] = cells
    return column
