"""The base of all readers of flow tables. It reads rows once, decides conventions from all of them, and converts them.

Until then, rows wait in a temporary file, which begins in memory. A bad row is counted; the others are kept.
"""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from hf_ntg.errors import InputError
from hf_ntg.flows.byte_stream import BrokenFileError, OnRead
from hf_ntg.flows.reading import FlowBatch
from hf_ntg.flows.schema import PACKET_COLUMNS
from hf_ntg.flows.table_in.conventions import Declared, Survey, decide
from hf_ntg.flows.table_in.conversion import Conversion
from hf_ntg.flows.table_in.ragged import Ragged
from hf_ntg.flows.table_in.raw_batch import ADDRESSES, NUMBERS, TEXTS, RawBatch, text_of, whole_number_of

__all__ = ["BATCH", "TableFile"]

BATCH = 10_000
_BATCH_PACKETS = 2_000_000
_IN_MEMORY = 64 << 20  # bytes of waiting rows; more are on disk
_KNOWN_SHARE = 0.9  # of rows with times, below which the column is left out


class TableFile(ABC):
    """Streams the flows of a table of packet lists.

    A subclass reads the rows in :meth:`read_rows` and passes each to :meth:`add`.

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
        for name in TEXTS:
            self._facts[name].append(text_of(facts.get(name), name, self.noticed))
        for name in NUMBERS:
            self._facts[name].append(whole_number_of(facts.get(name), name, self.noticed))
        for name in ADDRESSES:
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
            columns = self._columns_to_keep(waiting)
            conversion = Conversion(convention, columns, self.max_packets, self.skipped, self.noticed)
            waiting.seek(0)
            for batch in pa.ipc.open_stream(waiting):
                flows = conversion.flows(RawBatch.from_record_batch(batch))
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
        self._facts: dict[str, list] = {name: [] for name in (*TEXTS, *NUMBERS, *ADDRESSES)}
        self._packets = 0

    def _take(self) -> RawBatch:
        raw = RawBatch({name: Ragged.of_lists(self._cells[name]) for name in self.has}, self._facts)
        self._clear()
        return raw

    def _columns_to_keep(self, waiting) -> set[str]:
        """The optional packet columns that are known in enough rows."""
        counts: Counter[str] = Counter()
        for batch in pa.ipc.open_stream(waiting):
            has_packets = batch.column("payload_length counts").to_numpy() >= 0
            counts["rows"] += int(has_packets.sum())
            for name in self.has:
                counts[name] += int((has_packets & (batch.column(f"{name} counts").to_numpy() >= 0)).sum())
        kept = set(self.has)
        if "inter_arrival_time" in kept and counts["inter_arrival_time"] < _KNOWN_SHARE * counts["rows"]:
            kept.discard("inter_arrival_time")
            unknown = counts["rows"] - counts["inter_arrival_time"]
            self.noticed["flows without times, for which the column 'inter_arrival_time' is left out"] += unknown
        if "tcp_window" in kept and not counts["tcp_window"]:
            kept.discard("tcp_window")
        return kept
