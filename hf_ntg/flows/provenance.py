"""Provenance: which generator made a flow table, from what and with which seed; it travels with the table.

In memory the marks are lines of ``Dataset.info.description``, which selecting, shuffling and concatenating keep. In a
Parquet file they are in the schema's metadata. JSON lines, CSV files and published data sets, whose metadata other
libraries drop, have them in a column ``provenance``. :func:`hf_ntg.load_flows`, :func:`hf_ntg.flows.save_flows` and
every function that takes flows carry them from one to the other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import ClassLabel, Dataset

import hf_ntg
from hf_ntg.errors import InputError

__all__ = [
    "PROVENANCE_COLUMN",
    "Provenance",
    "mark_flows",
    "marks_in_text",
    "provenance_metadata",
    "provenance_of",
    "provenance_of_file",
    "provenance_text",
    "with_command",
    "with_marks_of_column",
]

PROVENANCE_COLUMN = "provenance"
"""Column that holds the marks as JSON, in every row, where a file has no other place for them."""
_KEY = b"hf_ntg.provenance"
_PREFIX = "hf_ntg.provenance: "


@dataclass(frozen=True)
class Provenance:
    """How synthetic flows were made.

    Attributes:
        model: id on the Hub, name of a model's folder, or name of a baseline.
        revision: commit on the Hub, or ``sha256:`` and the hash of a local model's weights; empty for a generator that
            was not saved.
        seed: seed of the draw.
        command: the command line, with files and folders by their last names; empty for flows made from Python.
        hf_ntg: version of the package that made them.
        view: packet view that the flows are in, see :func:`hf_ntg.flows.view.in_view`. A mark without it is from before
            there were views, and means ``all``.
        max_packets: largest number of packets that the generator gives a flow; None if unknown.
        holds_real: whether the table also holds real flows, or flows that were made by changing single real ones. Such
            a table is not published.
    """

    model: str
    revision: str
    seed: int
    command: str = ""
    hf_ntg: str = hf_ntg.__version__
    view: str = "all"
    max_packets: int | None = None
    holds_real: bool = False

    @classmethod
    def of_model(cls, folder: str | Path, seed: int, command: str = "") -> Provenance:
        """Describe flows drawn from the model in `folder`: a folder that training left, or a snapshot from the Hub."""
        folder = Path(folder).resolve()
        # The layout of the Hub's cache: models--ORGANISATION--NAME/snapshots/COMMIT.
        if folder.parent.name == "snapshots" and folder.parents[1].name.startswith("models--"):
            name = folder.parents[1].name.removeprefix("models--").replace("--", "/")
            return cls(name, folder.name, seed, command)
        hashed = hashlib.sha256()
        for weights in sorted(folder.rglob("*.safetensors")):
            hashed.update(weights.read_bytes())
        return cls(folder.name, f"sha256:{hashed.hexdigest()}", seed, command)


def mark_flows(flows: Dataset, marks: Provenance | Sequence[Provenance]) -> Dataset:
    """A view of `flows` that carries `marks` in place of any it had."""
    marked = flows.with_format(**flows.format)  # shares the table; its info is its own
    distinct = [marks] if isinstance(marks, Provenance) else list(dict.fromkeys(marks))
    marked.info.description = "\n\n".join(_PREFIX + _as_json(mark) for mark in distinct)
    return marked


def provenance_of(flows: Dataset) -> tuple[Provenance, ...]:
    """The marks that `flows` carries, one for each draw that they come from; empty for flows without a mark."""
    lines = (flows.info.description or "").splitlines()
    return _parsed(line.removeprefix(_PREFIX) for line in lines if line.startswith(_PREFIX))


def provenance_of_file(source: str | Path | pa.Schema) -> tuple[Provenance, ...]:
    """The marks in a Parquet file, or in a schema read from one.

    Raises:
        InputError: `source` is not a readable Parquet file, or holds a mark that cannot be read.
    """
    if not isinstance(source, pa.Schema):
        try:
            source = pq.read_schema(source)
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"{source}: not a readable Parquet file ({str(error).splitlines()[0]})") from error
    held = (source.metadata or {}).get(_KEY)
    return () if held is None else _parsed(held.decode("utf-8", "replace").splitlines())


def provenance_metadata(marks: Iterable[Provenance]) -> dict[bytes, bytes]:
    """`marks` as metadata of a Parquet schema; nothing where there are none."""
    lines = [_as_json(mark) for mark in marks]
    return {_KEY: "\n".join(lines).encode()} if lines else {}


def provenance_text(marks: Iterable[Provenance]) -> str:
    """`marks` as the cell of :data:`PROVENANCE_COLUMN`: a JSON list."""
    return json.dumps([asdict(mark) for mark in marks], ensure_ascii=False)


def marks_in_text(text: object) -> tuple[Provenance, ...] | None:
    """The marks in a cell of :data:`PROVENANCE_COLUMN`; None if the cell holds something else."""
    try:
        found = json.loads(text) if isinstance(text, str) else None
        return tuple(Provenance(**mark) for mark in found) if isinstance(found, list) and found else None
    except (ValueError, TypeError, RecursionError):
        return None


def with_marks_of_column(flows: Dataset) -> Dataset:
    """`flows` with the marks of its column ``provenance`` in place of the column; unchanged if it has none of ours."""
    if PROVENANCE_COLUMN not in flows.column_names:
        return flows
    feature = flows.features[PROVENANCE_COLUMN]
    cells = [cell for cell in flows.unique(PROVENANCE_COLUMN) if cell is not None]
    texts = feature.int2str(cells) if isinstance(feature, ClassLabel) else cells
    found = [marks_in_text(text) for text in texts]
    if any(marks is None for marks in found):
        return flows
    marks = [*provenance_of(flows), *(mark for marks in found for mark in marks or ())]
    return mark_flows(flows.remove_columns(PROVENANCE_COLUMN), marks)


def with_command(flows: Dataset, command: str) -> Dataset:
    """`flows` with `command` in all marks that they carry."""
    return mark_flows(flows, [replace(mark, command=command) for mark in provenance_of(flows)])


def _as_json(mark: Provenance) -> str:
    return json.dumps(asdict(mark), ensure_ascii=False)


def _parsed(lines: Iterable[str]) -> tuple[Provenance, ...]:
    try:
        return tuple(dict.fromkeys(Provenance(**json.loads(line)) for line in lines))
    except (ValueError, TypeError) as error:
        raise InputError(f"the mark of synthetic flows cannot be read ({error}); generate the flows again") from error
