"""Many files of any known format to one flow table: several processes, bounded memory, an order that does not change.

Every file is read into an Arrow file of its own beside the output, by any of the processes; the parts are then joined
in the order of the sources. What could not be read is counted and told, and stops nothing else.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import secrets
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
from datasets import Features, Value

from hf_ntg.errors import InputError
from hf_ntg.files import replacing
from hf_ntg.flows.capture_in.biflow import DEFAULT_IDLE_TIMEOUT
from hf_ntg.flows.capture_in.capture_file import is_capture
from hf_ntg.flows.capture_in.pcap import CAPTURE_SUFFIXES, CaptureReader, capture_name
from hf_ntg.flows.capture_in.pieces import CaptureEdges, joined_pieces
from hf_ntg.flows.labelling.labels import LabelRules, ndpi_labels
from hf_ntg.flows.labelling.side_table import SideTable, is_side_table
from hf_ntg.flows.reading import FlowBatch, FlowReader, Tell, first_bytes, open_unpacked
from hf_ntg.flows.schema import FLOW_FEATURES
from hf_ntg.flows.table_in.cesnet import CesnetReader
from hf_ntg.flows.table_in.mirage import Background, Labelling, MirageReader
from hf_ntg.flows.table_in.tabular import TableReader
from hf_ntg.workers import worker_pool

__all__ = ["FileReport", "ImportReport", "ReadingOptions", "import_flows"]

_KNOWN_SUFFIXES = (*CAPTURE_SUFFIXES, ".json", ".json.gz", ".zip", ".csv", ".csv.gz", ".parquet")
_EXTRA_COLUMNS = ("sni", "source_hash", "destination_hash")
_ROWS_IN_GROUP = 20_000
_PIECES = "files that one capture was rotated into, read as one capture"
_POLL = 0.2  # seconds between two looks at the progress of other processes


@dataclass(frozen=True)
class ReadingOptions:
    """How files become flows; each option matters to the formats that have what it speaks of.

    Args:
        labels: where labels come from. The flows of a capture that we wrote have those of the table beside it
            (``x.flows.csv``) for their own.
        max_packets: packets to keep of each flow; all when None. ``packet_count`` counts all in any case.
        idle_timeout: captures: seconds without a packet after which the next one begins a new flow.
        decapsulate: captures: look inside tunnels (see :mod:`hf_ntg.flows.capture_in.tunnels`) and IP-in-IP.
        split_offload: captures: cut offloaded packets, longer than a frame, into TCP segments and UDP datagrams.
        drop_duplicates: captures: leave out packets that were captured twice.
        read_sni: captures: keep server names in a column ``sni`` (labels by server name look for them anyway).
        labelling: MIRAGE: keep ``all`` flows, or those labelled ``exact`` or ``most-common``.
        background: MIRAGE: ``label`` flows of other apps "background", ``drop`` them, or ``keep`` their label.
        label_column: CESNET: the column with the class.
        columns: other tables: our column names to theirs, see :class:`hf_ntg.flows.table_in.tabular.TableReader`.
        keep_addresses: ``hashed`` keeps a keyed hash (BLAKE2b, 64 bits) of both addresses; addresses are never stored.
        address_key: the key; drawn for this import, and forgotten, when empty.
    """

    labels: LabelRules = field(default_factory=LabelRules)
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

    def reader(self, path: Path, capture: str, tell: Tell, pieces: tuple[Path, ...] = ()) -> FlowReader:
        """The reader for the file at `path`, by what it begins with and by its name.

        Args:
            pieces: further files of the same capture.
        """
        with open_unpacked(path) as file:
            magic = first_bytes(file, path)
        name = path.name.lower().removesuffix(".gz")
        cut = {"max_packets": self.max_packets, "tell": tell}
        if name.endswith((".json", ".zip")) or magic[:2] == b"PK":
            return MirageReader(path, capture, self.labelling, self.background, **cut)
        if name.endswith(".parquet"):
            return TableReader(path, self.columns, capture, **cut)
        if name.endswith(".csv"):
            if is_side_table(path):
                raise InputError(f"{path}: the table beside a capture that was written, without packets; import that")
            if self.columns:
                return TableReader(path, self.columns, capture, **cut)
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
            tell,
            self.drop_duplicates,
        )


@dataclass
class FileReport:
    """What became of one file: flows read, what was skipped and noticed by reason, and the error that ended it."""

    path: Path
    flows: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    noticed: Counter[str] = field(default_factory=Counter)
    error: str | None = None
    edges: CaptureEdges = field(default_factory=CaptureEdges, repr=False)


@dataclass
class ImportReport:
    """What became of all files, in the order of the sources."""

    output: Path
    files: list[FileReport]
    left_out: int = 0  # files in folders that are of no known format
    dropped_columns: tuple[str, ...] = ()  # that some files have and others lack

    @property
    def flows(self) -> int:
        return sum(file.flows for file in self.files)

    @property
    def broken(self) -> list[FileReport]:
        return [file for file in self.files if file.error is not None]

    def remarks(self) -> list[str]:
        """One line for everything that a user should know of."""
        skipped, noticed = (
            sum((getattr(one, name) for one in self.files), Counter()) for name in ("skipped", "noticed")
        )
        lines = [f"skipped {count}: {reason}" for reason, count in skipped.most_common()]
        lines += [f"noticed {count}: {reason}" for reason, count in noticed.most_common()]
        if self.left_out:
            lines.append(f"left out {self.left_out}: files that are of no known format")
        if self.dropped_columns:
            lines.append(f"left out columns that not all files have: {', '.join(self.dropped_columns)}")
        return lines + [f"broken: {file.error} ({file.flows} flows kept)" for file in self.broken]


def import_flows(
    sources: list[str | Path],
    output: str | Path,
    options: ReadingOptions | None = None,
    *,
    num_proc: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> ImportReport:
    """Read flows from files and folders into one Parquet file in the project's schema.

    Captures are named by their files; by their paths below the folder given where a folder is given. Flows stand in the
    order of the sources (files of a folder by name), and within a capture in the order of their first packets as far as
    they end within one batch of 20,000 flows.

    Args:
        sources: captures, MIRAGE files or zips, CESNET CSV files, other tables, and folders of all these.
        output: the Parquet file.
        options: how to read; the defaults when None.
        num_proc: processes, one file each at a time. The output is the same for any number.
        progress: called with the bytes in all and those read since the last call, now and then.

    Raises:
        InputError: a source is missing, a rule or option is wrong, or no flow could be read at all.
    """
    options, output = options or ReadingOptions(), Path(output)
    if output.suffix != ".parquet":
        raise InputError(f"{output}: flows are imported into Parquet; name the file with .parquet")
    if num_proc < 1:
        raise InputError(f"num_proc {num_proc}: give at least one process")
    if options.keep_addresses not in ("none", "hashed"):
        raise InputError(f"keep_addresses {options.keep_addresses!r}: choose 'none' or 'hashed'")
    options.labels.check()
    if options.keep_addresses == "hashed" and not options.address_key:
        options = replace(options, address_key=secrets.token_bytes(32))
    files, left_out = _find_files([Path(source) for source in sources])
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as folder:
        parts = [Path(folder) / f"{number}.arrow" for number in range(len(files))]
        jobs: list[tuple] = [
            (path, capture, part, options, ()) for (path, capture), part in zip(files, parts, strict=True)
        ]
        size = sum(path.stat().st_size for path, _ in files)
        told = partial(progress, size) if progress else None
        here, apart = partial(_read_here, progress=told), partial(_read_apart, num_proc=num_proc, progress=told)
        read = here if num_proc == 1 else apart
        reports = read(jobs)
        _read_pieces_together(jobs, reports, read)
        report = ImportReport(output, reports, left_out)
        if not report.flows:
            why = report.broken[0].error if report.broken else "; ".join(report.remarks()) or "they are empty"
            more = f" (and {len(report.broken) - 1} more broken files)" if len(report.broken) > 1 else ""
            raise InputError(f"no flows in {', '.join(map(str, sources))}: {why}{more}")
        report.dropped_columns = _join(parts, output)
    return report


def _find_files(sources: list[Path]) -> tuple[list[tuple[Path, str]], int]:
    """Files to read and the name of each as a capture, and how many files in folders are of no known format."""
    found, left_out = [], 0
    for source in sources:
        if source.is_dir():
            below = sorted(path for path in source.rglob("*") if path.is_file() and not path.name.startswith("."))
            below = [path for path in below if not is_side_table(path)]
            known = [path for path in below if path.name.lower().endswith(_KNOWN_SUFFIXES) or is_capture(path)]
            left_out += len(below) - len(known)
            if not known:
                raise InputError(f"{source}: a folder without files of a known format ({', '.join(_KNOWN_SUFFIXES)})")
            found += [(path, _name(path, path.relative_to(source).parent)) for path in known]
        elif source.exists():
            found.append((source, _name(source, Path())))
        else:
            raise InputError(f"{source}: no such file or folder")
    names = Counter(name for _, name in found)
    # Captures of one name in two places are told apart by their places.
    return [(path, name if names[name] == 1 else _name(path, path.parent)) for path, name in found], left_out


def _name(path: Path, folder: Path) -> str:
    name = capture_name(path).removesuffix(".gz")
    for suffix in (".json", ".csv", ".parquet"):
        name = name.removesuffix(suffix)
    return (folder / name).as_posix()


def _read_pieces_together(
    jobs: list[tuple], reports: list[FileReport], read: Callable[[list[tuple]], list[FileReport]]
) -> None:
    """Read the files that are pieces of one capture again, as one; the first of each capture gets all flows."""
    paths = [job[0] for job in jobs]
    of_file = jobs[0][3].labels.of_file
    groups: dict[int, list[int]] = {}
    files = [(path, report.edges) for path, report in zip(paths, reports, strict=True)]
    for number, first in enumerate(joined_pieces(files, lambda one, other: of_file(one) == of_file(other))):
        groups.setdefault(first, []).append(number)
    groups = {first: numbers for first, numbers in groups.items() if len(numbers) > 1}
    together = []
    for first, numbers in groups.items():
        for number in numbers:
            jobs[number][2].unlink(missing_ok=True)
            reports[number] = FileReport(paths[number])
        numbers.sort(key=lambda number: files[number][1].first)
        earliest = jobs[numbers[0]]
        together.append((*earliest[:2], jobs[first][2], earliest[3], tuple(paths[number] for number in numbers[1:])))
    for (first, numbers), report in zip(groups.items(), read(together) if together else [], strict=True):
        report.path = paths[first]
        report.noticed[_PIECES] += len(numbers)
        reports[first] = report


def _read_here(jobs: list[tuple], progress: Tell | None) -> list[FileReport]:
    return [_read_file(*job, progress or (lambda count: None)) for job in jobs]


def _read_apart(jobs: list[tuple], num_proc: int, progress: Tell | None) -> list[FileReport]:
    """Read the files in other processes; they are started afresh, since a copy of a process with threads may hang."""
    context = multiprocessing.get_context("spawn")
    done, shown = context.Value("q", 0), 0
    with worker_pool(num_proc, _start_process, (done,)) as pool:
        futures: list[Future[FileReport]] = [pool.submit(_read_for_parent, *job) for job in jobs]
        while progress is not None and not all(future.done() for future in futures):
            time.sleep(_POLL)
            now = done.value
            progress(now - shown)
            shown = now
        return [future.result() for future in futures]


_done = None  # bytes read by all processes; set in each of them when it starts


def _start_process(done) -> None:
    global _done
    _done = done


def _read_for_parent(*job) -> FileReport:
    return _read_file(*job, _tell_parent)


def _tell_parent(count: int) -> None:
    with _done.get_lock():
        _done.value += count


def _read_file(
    path: Path, capture: str, part: Path, options: ReadingOptions, pieces: tuple[Path, ...], tell: Tell
) -> FileReport:
    """Read one file, or the files `path` and `pieces` of one capture, into the Arrow file `part`."""
    report, writer = FileReport(path), None
    try:
        reader = options.reader(path, capture, tell, pieces)
        by_ndpi, ndpi_reads = None, True
        if options.labels.ndpi and isinstance(reader, CaptureReader):
            by_ndpi, ndpi_reads = ndpi_labels(path, options.idle_timeout)
        beside = SideTable.of(path) if isinstance(reader, CaptureReader) else None
        for batch in reader:
            if beside is not None:
                batch = replace(batch, flows=replace(batch.flows, label=beside.labels(batch)))
            labels = options.labels.of_flows(batch, path, by_ndpi)
            table = _with_extras(replace(batch.flows, label=labels).to_table(), batch, options)
            writer = writer or pa.ipc.new_file(part, table.schema)
            writer.write_table(table)
            report.flows += len(batch)
        report.skipped, report.noticed = reader.skipped, reader.noticed
        report.edges = reader.edges if isinstance(reader, CaptureReader) else CaptureEdges()
        if not ndpi_reads:
            report.noticed["captures that nDPI could not read (damaged or packed), so that it labels none of them"] += 1
        if beside is not None:
            report.noticed["captures of ours, labelled by the table beside them (.flows.csv)"] += 1
        report.error = None if reader.broken is None else str(reader.broken)
    except InputError as error:
        report.error = str(error)
    finally:
        if writer is not None:
            writer.close()
    return report


def _with_extras(table: pa.Table, batch: FlowBatch, options: ReadingOptions) -> pa.Table:
    """`table` with the columns that only some imports have."""
    if options.read_sni or options.labels.sni is not None:
        names = batch.sni or [None] * len(batch)
        table = table.append_column("sni", pa.array(names, pa.string()))
    if options.keep_addresses == "hashed":
        for name in ("source", "destination"):
            addresses = getattr(batch, name) or [b""] * len(batch)
            hashes = [_hashed(address, options.address_key) for address in addresses]
            table = table.append_column(f"{name}_hash", pa.array(hashes, pa.string()))
    return table


def _hashed(address: bytes, key: bytes) -> str | None:
    return hashlib.blake2b(address, key=key[:64], digest_size=8).hexdigest() if address else None


def _join(parts: list[Path], output: Path) -> tuple[str, ...]:
    """Write all of `parts` to `output`, with the columns that all of them have; return the names of the others."""
    written = [part for part in parts if part.exists()]
    schemas = []
    for part in written:
        with pa.memory_map(str(part)) as file:
            schemas.append(pa.ipc.open_file(file).schema.names)
    every = [name for name in (*FLOW_FEATURES, *_EXTRA_COLUMNS) if any(name in names for names in schemas)]
    kept = [name for name in every if all(name in names for names in schemas)]
    schema = Features({name: FLOW_FEATURES.get(name, Value("string")) for name in kept}).arrow_schema
    with replacing(output) as scratch, pq.ParquetWriter(scratch, schema, compression="zstd") as writer:
        for table in _tables(written, kept):
            writer.write_table(table.cast(schema))
    return tuple(name for name in every if name not in kept)


def _tables(parts: list[Path], names: list[str]) -> Iterator[pa.Table]:
    """The record batches of `parts`, small ones joined so that row groups are not tiny."""
    waiting: list[pa.RecordBatch] = []
    for part in parts:
        with pa.ipc.open_file(part) as file:
            for number in range(file.num_record_batches):
                waiting.append(file.get_batch(number).select(names))
                if sum(batch.num_rows for batch in waiting) >= _ROWS_IN_GROUP:
                    yield pa.Table.from_batches(waiting)
                    waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting)
