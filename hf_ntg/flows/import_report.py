"""Reports of an import: what was read, skipped and noticed, for each file and for all of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from hf_ntg.flows.capture_in.pieces import CaptureEdges
from hf_ntg.flows.provenance import Provenance
from hf_ntg.flows.unpacking import printable_name
from hf_ntg.text_tables import TextTable

__all__ = ["FileReport", "ImportReport"]

_CLASSES_SHOWN = 50
_WIDEST_NAME = 60


@dataclass
class FileReport:
    """Report on one file: flows read, counts of skipped items and of remarks, and the error that ended the reading."""

    path: Path
    flows: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    noticed: Counter[str] = field(default_factory=Counter)
    error: str | None = None
    edges: CaptureEdges = field(default_factory=CaptureEdges, repr=False)
    classes: Counter[str | None] = field(default_factory=Counter)
    rules_used: set[str] = field(default_factory=set)
    marks: tuple[Provenance, ...] = ()  # of synthetic flows


@dataclass
class ImportReport:
    """Report on all files, in the order of the sources."""

    output: Path
    files: list[FileReport]
    left_out: int = 0  # files in folders whose format is unknown
    dropped_columns: tuple[str, ...] = ()  # columns that only some files have
    about_rules: tuple[str, ...] = ()  # remarks on the tables of labels

    @property
    def flows(self) -> int:
        return sum(file.flows for file in self.files)

    @property
    def broken(self) -> list[FileReport]:
        return [file for file in self.files if file.error is not None]

    @property
    def marks(self) -> tuple[Provenance, ...]:
        """The marks of synthetic flows; they say so if there are other flows too."""
        marked = [file for file in self.files if file.marks]
        is_mixed = any(file.flows and not file.marks for file in self.files)
        marks = dict.fromkeys(mark for file in marked for mark in file.marks)
        return tuple(replace(mark, holds_real=mark.holds_real or is_mixed) for mark in marks)

    @property
    def classes(self) -> Counter[str | None]:
        """Number of flows of each class; None counts the flows without a label."""
        return sum((file.classes for file in self.files), Counter())

    def class_table(self) -> TextTable:
        """Return a table of the classes, largest first, and of the flows without a label."""
        counts = self.classes
        unlabelled = counts.pop(None, 0)
        rows = [(printable_name(str(name)), count) for name, count in sorted(counts.items(), key=lambda one: -one[1])]
        shown, rest = rows[:_CLASSES_SHOWN], rows[_CLASSES_SHOWN:]
        if rest:
            shown.append((f"({len(rest)} more classes)", sum(count for _, count in rest)))
        shown.append(("(no label)", unlabelled))
        width = min(max(len(name) for name, _ in [("class", 0), *shown]), _WIDEST_NAME)
        cut = [(name if len(name) <= width else name[: width - 1] + "…", str(count)) for name, count in shown]
        return TextTable(("class", "flows"), cut)

    def remarks(self) -> list[str]:
        """Return the remarks for the user, one line each."""
        skipped: Counter[str] = sum((one.skipped for one in self.files), Counter())
        noticed: Counter[str] = sum((one.noticed for one in self.files), Counter())
        lines = [f"skipped {count}: {reason}" for reason, count in skipped.most_common()]
        lines += [f"noticed {count}: {reason}" for reason, count in noticed.most_common()]
        if self.left_out:
            lines.append(f"left out {self.left_out}: files that are of no known format")
        if self.marks:
            mixed = ", together with others" if any(mark.holds_real for mark in self.marks) else ""
            lines.append(f"the table holds synthetic flows of {', '.join(mark.model for mark in self.marks)}{mixed}")
        lines += self.about_rules
        if self.dropped_columns:
            lines.append(f"left out columns that not all files have: {', '.join(self.dropped_columns)}")
        return lines + [f"broken: {file.error} ({file.flows} flows kept)" for file in self.broken]
