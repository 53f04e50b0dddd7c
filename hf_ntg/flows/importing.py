"""Reads many files of any known format into one flow table, in several processes and bounded memory.

Any of the processes reads a file into a separate Arrow file next to the output. The parts are then joined in the order
of the sources. Files and packets that cannot be read are counted and reported; the import continues.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
from datasets import Features, Value

from hf_ntg.errors import InputError
from hf_ntg.files import replacing, scratch_folder
from hf_ntg.flows.byte_stream import OnRead
from hf_ntg.flows.capture_in.pcap import CaptureReader
from hf_ntg.flows.capture_in.pieces import CaptureEdges, joined_pieces
from hf_ntg.flows.import_report import FileReport, ImportReport
from hf_ntg.flows.labelling.ndpi import ndpi_labels
from hf_ntg.flows.labelling.side_table import SideTable
from hf_ntg.flows.provenance import Provenance, provenance_metadata
from hf_ntg.flows.reading import FlowBatch
from hf_ntg.flows.reading_options import ReadingOptions
from hf_ntg.flows.schema import FLOW_FEATURES
from hf_ntg.flows.sources import find_sources
from hf_ntg.flows.table_in.tabular import TableReader
from hf_ntg.workers import worker_pool

__all__ = ["import_flows"]

_EXTRA_COLUMNS = ("sni", "source_hash", "destination_hash")
_ROWS_IN_GROUP = 20_000
_PIECES = "files that one capture was rotated into, read as one capture"
_POLL = 0.2  # seconds between two looks at the progress of other processes


_Job = tuple[Path, str, Path, ReadingOptions, tuple[Path, ...]]
"""File, its name as a capture, the Arrow file for its flows, options, and further files of the same capture."""


def import_flows(
    sources: Sequence[str | Path],
    output: str | Path,
    options: ReadingOptions | None = None,
    *,
    num_proc: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> ImportReport:
    """Read flows from files and folders into one Parquet file in the project's schema.

    A capture is named after its file. If a folder is given, it is named by its path below that folder. Flows are in the
    order of the sources; files of a folder are sorted by name. Within a capture, the flows of each batch of 20,000 are
    in the order of their first packets.

    Args:
        sources: captures, MIRAGE files or zips, CESNET CSV files, other tables, folders, globs and zips of all these,
            and pipes such as ``/dev/stdin``.
        output: the Parquet file.
        options: options for reading; the defaults if None.
        num_proc: number of processes; each reads one file at a time. The output does not depend on it.
        progress: called regularly with the total number of bytes, and the number of bytes read since the last call.

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
    with scratch_folder(output) as folder:
        found = find_sources(sources, folder / "sources")
        files = found.files
        parts = [folder / f"{number}.arrow" for number in range(len(files))]
        jobs: list[_Job] = [
            (path, capture, part, options, ()) for (path, capture), part in zip(files, parts, strict=True)
        ]
        size = sum(path.stat().st_size for path, _ in files)
        on_read = partial(progress, size) if progress else None
        here, apart = partial(_read_here, progress=on_read), partial(_read_apart, num_proc=num_proc, progress=on_read)
        read = here if num_proc == 1 else apart
        reports = read(jobs)
        _read_pieces_together(jobs, reports, read)
        reports += [FileReport(path, error=problem) for path, problem in found.problems]
        for one in reports:
            one.error = None if one.error is None else found.message(one.error)
        report = ImportReport(output, reports, found.left_out)
        used = set().union(*(one.rules_used for one in reports))
        report.about_rules = tuple(options.labels.remarks(used))
        if not report.flows:
            why = report.broken[0].error if report.broken else "; ".join(report.remarks()) or "they are empty"
            more = f" (and {len(report.broken) - 1} more broken files)" if len(report.broken) > 1 else ""
            place = ", ".join(map(str, sources))
            raise InputError(found.message(f"no flows in {place}: {(why or '').removeprefix(f'{place}: ')}{more}"))
        report.dropped_columns = _join(parts, output, report.marks)
    return report


def _read_pieces_together(
    jobs: list[_Job], reports: list[FileReport], read: Callable[[list[_Job]], list[FileReport]]
) -> None:
    """Read the pieces of one capture again as one capture. All its flows count for its first file."""
    paths = [job[0] for job in jobs]
    of_file = jobs[0][3].labels.of_file
    groups: dict[int, list[int]] = {}
    files = [(path, report.edges) for path, report in zip(paths, reports, strict=True)]
    for number, first in enumerate(joined_pieces(files, lambda one, other: of_file(one) == of_file(other))):
        groups.setdefault(first, []).append(number)
    groups = {first: numbers for first, numbers in groups.items() if len(numbers) > 1}
    together: list[_Job] = []
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


def _read_here(jobs: list[_Job], progress: OnRead | None) -> list[FileReport]:
    return [_read_file(*job, progress or (lambda count: None)) for job in jobs]


def _read_apart(jobs: list[_Job], num_proc: int, progress: OnRead | None) -> list[FileReport]:
    """Read the files in spawned processes, since a fork of a process with threads may hang."""
    context = multiprocessing.get_context("spawn")
    done, shown = context.Value("q", 0), 0
    with worker_pool(num_proc, _start_process, (done,)) as pool:
        futures: list[Future[FileReport]] = [pool.submit(_read_for_parent, job) for job in jobs]
        while progress is not None and not all(future.done() for future in futures):
            time.sleep(_POLL)
            now = done.value
            progress(now - shown)
            shown = now
        return [future.result() for future in futures]


_done: Any = None  # bytes read by all processes; set in each of them when it starts


def _start_process(done) -> None:
    global _done
    _done = done


def _read_for_parent(job: _Job) -> FileReport:
    return _read_file(*job, _report_to_parent)


def _report_to_parent(count: int) -> None:
    with _done.get_lock():
        _done.value += count


def _read_file(
    path: Path, capture: str, part: Path, options: ReadingOptions, pieces: tuple[Path, ...], on_read: OnRead
) -> FileReport:
    """Read one file, or the files `path` and `pieces` of one capture, into the Arrow file `part`."""
    report, writer, unlabelled = FileReport(path), None, 0
    try:
        reader = options.reader(path, capture, on_read, pieces, part.parent)
        by_ndpi, ndpi_reads = None, True
        if options.labels.ndpi and isinstance(reader, CaptureReader):
            by_ndpi, ndpi_reads = ndpi_labels(path, options.idle_timeout)
        side_table = SideTable.of(path) if isinstance(reader, CaptureReader) else None
        for batch in reader:
            if side_table is not None:
                batch = replace(batch, flows=replace(batch.flows, label=side_table.labels(batch)))
            labels = options.labels.of_flows(batch, path, by_ndpi, report.rules_used)
            table = _with_extras(replace(batch.flows, label=labels).to_table(), batch, options)
            if options.labelled_only:
                has_label = np.array([label is not None for label in labels], dtype=bool)
                table, labels = table.filter(pa.array(has_label)), labels[has_label]
            report.classes.update(labels.tolist())
            writer = writer or pa.ipc.new_file(part, table.schema)
            writer.write_table(table)
            report.flows += len(table)
            unlabelled += len(batch) - len(table)
        report.skipped, report.noticed = reader.skipped, reader.noticed
        report.skipped += Counter({"flows without a label": unlabelled})
        report.marks = tuple(reader.marks) if isinstance(reader, TableReader) else ()
        report.edges = reader.edges if isinstance(reader, CaptureReader) else CaptureEdges()
        if not ndpi_reads:
            report.noticed["captures that nDPI could not read (damaged or packed), so that it labels none of them"] += 1
        if side_table is not None and side_table.labelled:
            report.noticed["captures that 'ntg export' wrote, labelled by the table next to them (.flows.csv)"] += 1
        report.error = None if reader.broken is None else str(reader.broken)
    except InputError as error:
        report.error = str(error)
    finally:
        if writer is not None:
            writer.close()
    return report


def _with_extras(table: pa.Table, batch: FlowBatch, options: ReadingOptions) -> pa.Table:
    """Return `table` with the columns that only some imports have."""
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


def _join(parts: list[Path], output: Path, marks: tuple[Provenance, ...]) -> tuple[str, ...]:
    """Write all of `parts` to `output`, with the columns that all of them have; return the names of the others."""
    written = [part for part in parts if part.exists()]
    schemas = []
    for part in written:
        with pa.memory_map(str(part)) as file:
            schemas.append(pa.ipc.open_file(file).schema.names)
    every = [name for name in (*FLOW_FEATURES, *_EXTRA_COLUMNS) if any(name in names for names in schemas)]
    kept = [name for name in every if all(name in names for names in schemas)]
    schema = Features({name: FLOW_FEATURES.get(name, Value("string")) for name in kept}).arrow_schema
    schema = schema.with_metadata({**schema.metadata, **provenance_metadata(marks)})
    with replacing(output) as scratch, pq.ParquetWriter(scratch, schema, compression="zstd") as writer:
        for table in _tables(written, kept):
            writer.write_table(table.cast(schema))
    return tuple(name for name in every if name not in kept)


def _tables(parts: list[Path], names: list[str]) -> Iterator[pa.Table]:
    """Yield the record batches of `parts`. Small ones are joined, so that row groups are not too small."""
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
