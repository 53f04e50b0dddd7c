"""Finds the files that an import reads: paths, folders, globs, pipes, and zip archives of captures and tables."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hf_ntg.errors import InputError
from hf_ntg.flows.capture_in.capture_file import is_capture
from hf_ntg.flows.capture_in.pcap import CAPTURE_SUFFIXES, capture_name
from hf_ntg.flows.labelling.side_table import is_side_table
from hf_ntg.flows.packings import unpacked_name
from hf_ntg.flows.unpacking import copy_pipe, is_pipe, printable_name
from hf_ntg.flows.zip_files import is_zip, unpack_zip, zip_members

__all__ = ["KNOWN_SUFFIXES", "Sources", "expand_globs", "find_sources"]

_TABLE_SUFFIXES = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
KNOWN_SUFFIXES = (*CAPTURE_SUFFIXES, *_TABLE_SUFFIXES, ".zip")
"""Suffixes of the files that are read from a folder; those of packings may follow."""


@dataclass
class Sources:
    """Files to read.

    Attributes:
        files: each file, and its name as a capture. left_out: files in folders that are of no known format.
        shown: places of temporary copies to what messages call them.
        problems: zip archives and their members that cannot be unpacked, a line each.
    """

    files: list[tuple[Path, str]] = field(default_factory=list)
    left_out: int = 0
    shown: dict[str, str] = field(default_factory=dict)
    problems: list[tuple[Path, str]] = field(default_factory=list)

    def message(self, text: str) -> str:
        """`text` with the user's own names of files, in printable characters."""
        for place, name in self.shown.items():
            text = text.replace(place, name)
        return printable_name(text)


def expand_globs(sources: Sequence[str | Path]) -> list[Path]:
    """`sources` as paths; patterns such as ``*.pcap`` that name no file become the files that fit, in order of name.

    Raises:
        InputError: nothing fits a pattern.
    """
    paths: list[Path] = []
    for source in sources:
        text = str(source)
        if glob.has_magic(text) and not Path(source).exists():
            fitting = sorted(glob.glob(text, recursive=True))
            if not fitting:
                raise InputError(f"{text}: no file fits this pattern")
            paths += map(Path, fitting)
        else:
            paths.append(Path(source))
    return paths


def find_sources(sources: Sequence[str | Path], scratch: Path) -> Sources:
    """Find the files in `sources`; pipes and zips of captures or tables are copied into the folder `scratch`.

    Raises:
        InputError: a source is missing, or a folder or zip holds nothing of a known format.
    """
    found = Sources()
    for number, source in enumerate(expand_globs(sources)):
        place = scratch / f"source {number}"
        if is_pipe(source):
            copy = copy_pipe(source, place)
            found.shown[str(copy)] = str(source)
            if is_zip(copy) and not _is_mirage_zip(copy):
                raise InputError(f"{source}: a zip through a pipe; give it as a file")
            found.files.append((copy, _name(copy, Path())))
        elif source.is_dir():
            _add_folder(found, source, place)
        elif is_zip(source) and not _is_mirage_zip(source):
            _add_zip(found, source, place)
        elif source.exists():
            found.files.append((source, _name(source, Path())))
        else:
            raise InputError(f"{printable_name(str(source))}: no such file or folder")
    names = Counter(name for _, name in found.files)
    # Captures of one name in two places are distinguished by their places.
    found.files = [(path, name if names[name] == 1 else _name(path, path.parent)) for path, name in found.files]
    return found


def _add_folder(found: Sources, folder: Path, place: Path) -> None:
    known, others = _known_files(folder)
    found.left_out += others
    if not known:
        raise InputError(f"{folder}: a folder without files of a known format ({', '.join(KNOWN_SUFFIXES)})")
    for number, path in enumerate(known):
        name = _name(path, path.relative_to(folder).parent)
        if is_zip(path) and not _is_mirage_zip(path):
            _add_zip(found, path, place / str(number))
        else:
            found.files.append((path, name))


def _add_zip(found: Sources, archive: Path, place: Path) -> None:
    """Add the files of a zip of captures or tables, which are unpacked into a folder in `place`."""
    folder = place / archive.stem
    found.shown[f"{folder}/"] = f"{archive}: "
    found.problems += [(archive, problem) for problem in unpack_zip(archive, folder)]
    known, others = _known_files(folder)
    found.left_out += others
    if not known and not found.problems:
        raise InputError(f"{archive}: a zip without files of a known format ({', '.join(KNOWN_SUFFIXES)})")
    found.files += [(path, _name(path, path.relative_to(folder).parent)) for path in known]


def _known_files(folder: Path) -> tuple[list[Path], int]:
    """The files below `folder` that are of a known format, by name, and how many others there are."""
    below = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    below = [path for path in below if not is_side_table(path)]
    known = [path for path in below if unpacked_name(path.name).endswith(KNOWN_SUFFIXES) or is_capture(path)]
    return known, len(below) - len(known)


def _is_mirage_zip(path: Path) -> bool:
    """Does a zip hold JSON files, or zips of them, and nothing else that could be read?"""
    try:
        names = [name.lower() for name in zip_members(path)]
    except InputError:  # the reader of MIRAGE files says what is wrong with it
        return True
    others = tuple(suffix for suffix in KNOWN_SUFFIXES if suffix not in (".json", ".zip"))
    return not names or (
        any(name.endswith((".json", ".zip")) for name in names)
        and not any(unpacked_name(name).endswith(others) for name in names)
    )


def _name(path: Path, folder: Path) -> str:
    """Name of the capture at `path`, which is in `folder` below the source."""
    name = printable_name(path.name)
    name = name[: len(unpacked_name(name))] or name
    name = capture_name(name)
    for suffix in _TABLE_SUFFIXES:
        if len(name) > len(suffix):
            name = name.removesuffix(suffix)
    return (Path(printable_name(str(folder))) / name).as_posix()
