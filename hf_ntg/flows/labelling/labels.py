"""Rules that label flows: by file or folder, by a table, by server name, by nDPI."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from hf_ntg.errors import InputError
from hf_ntg.flows.labelling.label_table import (
    Endpoints,
    RuleTable,
    endpoints_of,
    endpoints_of_line,
    read_rules,
    rule_name,
)
from hf_ntg.flows.labelling.ndpi import import_nfstream
from hf_ntg.flows.packings import unpacked_name
from hf_ntg.flows.reading import FlowBatch
from hf_ntg.flows.unpacking import printable_name

__all__ = ["LabelRules", "file_stem"]


@dataclass(frozen=True)
class LabelRules:
    """Sources of labels. If several rules match a flow, the first one in the order given here is used.

    Args:
        table: CSV with a column ``label`` and either ``capture`` (name of a capture as in the flow table, or of its
            file), or ``source, source_port, destination, destination_port, protocol`` (either direction; tcp, udp or a
            number), or all six. Lines that contradict each other or cannot be read are counted and not used.
        sni: CSV with columns ``suffix, label``. A suffix matches itself and its subdomains; the longest match is used.
        ndpi: application that nDPI detects, through nfstream (``pip install nfstream``).
        pattern: regular expression to search for in the path of the file (with ``/``). Its group ``label``, or its
            first group, is the label.
        folder: the name of the file's folder is the label.
        constant: label of all flows that no rule matches.
        file: the name of the file without suffixes is the label.
    """

    table: Path | None = None
    sni: Path | None = None
    ndpi: bool = False
    pattern: str | None = None
    folder: bool = False
    constant: str | None = None
    file: bool = False

    @property
    def given(self) -> bool:
        """Whether there is any rule."""
        rules = (self.table, self.sni, self.ndpi, self.pattern, self.folder, self.file, self.constant is not None)
        return any(rules)

    def check(self) -> None:
        """Raise InputError if a rule cannot be read, or the constant is blank."""
        if self.constant is not None and not self.constant.strip():
            raise InputError(
                f"label {self.constant!r}: is blank; give a name, or leave it out for flows without a label"
            )
        self._lines.check(self.table)
        self._name_lines.check(self.sni)
        _ = self._pattern
        if self.ndpi:
            import_nfstream()

    def remarks(self, used: set[str]) -> list[str]:
        """Return remarks on the tables of rules. `used`: rules that labelled a flow, see :meth:`of_flows`."""
        found = []
        for path, rules in ((self.table, self._lines), (self.sni, self._name_lines)):
            if path is None:
                continue
            found += [f"{path}: lines that {problem}: {count}" for problem, count in rules.problems.items()]
            idle = sorted((line, name) for name, line in rules.line_of.items() if name not in used)
            if idle:
                example = f"line {idle[0][0]}: {idle[0][1]}"
                found.append(f"{path}: lines that fit no flow: {len(idle)} (first: {example})")
        return found

    def of_file(self, path: Path) -> str | None:
        """Return the label from the name or the folder of a file."""
        if self._pattern is not None:
            match = self._pattern.search(printable_name(path.as_posix()))
            if match:
                named = "label" in self._pattern.groupindex
                return (match["label"] if named else match[1]) or None
        if self.file:
            return file_stem(path.name)
        return printable_name(path.resolve().parent.name) if self.folder else self.constant

    def of_flows(
        self,
        batch: FlowBatch,
        path: Path,
        by_ndpi: Callable[[FlowBatch, int], str | None] | None,
        used: set[str] | None = None,
    ) -> np.ndarray:
        """Return a label for every flow, (N,) object. A flow that no rule matches keeps its own label.

        Args:
            path: the file that the flows come from. by_ndpi: result of :func:`ndpi_labels` for the file.
            used: rules of the tables that match a flow are added here.
        """
        general, labels = self.of_file(path), batch.flows.label.copy()
        for row in range(len(batch)):
            found = self._of_flow(batch, row, path, used) if self.table or self.sni else None
            if found is None and by_ndpi is not None:
                found = by_ndpi(batch, row)
            if found is None and labels[row] is None:
                found = general
            if found is not None:
                labels[row] = found
        return labels

    def _of_flow(self, batch: FlowBatch, row: int, path: Path, used: set[str] | None) -> str | None:
        capture = batch.flows.capture[row] if batch.flows.capture is not None else None
        found = self.by_endpoints(batch, row, _names_of(capture, path), used)
        if found is None and batch.sni:
            found = self._by_name(batch.sni[row], used)
        return found

    def by_endpoints(
        self, batch: FlowBatch, row: int, captures: Sequence[str | None], used: set[str] | None = None
    ) -> str | None:
        """Return the table's label for the flow at `row`; `captures` are the possible names of its capture."""
        ends = endpoints_of(batch, row)
        for key in [(capture, ends) for capture in captures] + [(None, ends)] + [(one, None) for one in captures]:
            rule = self._by_capture.get(key)
            if rule is not None:
                if used is not None:
                    used.add(rule_name(key))
                return rule
        return None

    @property
    def captures(self) -> set[str]:
        """Names of captures in the table."""
        return {capture for capture, _ in self._by_capture if capture is not None}

    def _by_name(self, name: str | None, used: set[str] | None) -> str | None:
        name = name.lower().rstrip(".") if name else None
        while name:
            if name in self._suffixes:
                if used is not None:
                    used.add(name)
                return self._suffixes[name]
            name = name.partition(".")[2]
        return None

    @cached_property
    def _pattern(self) -> re.Pattern | None:
        if self.pattern is None:
            return None
        try:
            compiled = re.compile(self.pattern)
        except re.error as error:
            raise InputError(f"label pattern {self.pattern!r}: not a regular expression ({error})") from error
        if not compiled.groups:
            raise InputError(
                f"label pattern {self.pattern!r}: put the label's part in brackets, such as '([^/]+)/[^/]*$'"
            )
        return compiled

    @property
    def _suffixes(self) -> dict[str, str]:
        return self._name_lines.labels

    @property
    def _by_capture(self) -> dict[tuple[str | None, Endpoints | None], str]:
        return self._lines.labels

    @cached_property
    def _name_lines(self) -> RuleTable:
        rules = RuleTable()
        for line, row in read_rules(self.sni, {"suffix", "label"}, rules) if self.sni else ():
            suffix = str(row["suffix"] or "").lower().strip(".* ")
            if suffix:
                rules.add(suffix, suffix, row["label"], line)
            else:
                rules.problems["have no suffix"] += 1
        return rules

    @cached_property
    def _lines(self) -> RuleTable:
        rules = RuleTable()
        for line, row in read_rules(self.table, {"label"}, rules) if self.table else ():
            if not row.keys() & {"capture", "source"}:
                raise InputError(
                    f"{self.table}: the columns are {', '.join(map(str, row))}; give label and capture, or label, "
                    "source, source_port, destination, destination_port and protocol"
                )
            try:
                key = row.get("capture") or None, endpoints_of_line(row) if row.get("source") else None
            except ValueError as error:
                rules.refuse(f"line {line}: {error}", str(error).partition(":")[0])
                continue
            if key == (None, None):
                rules.refuse(f"line {line}: neither a capture nor a 5-tuple", "have neither a capture nor a 5-tuple")
                continue
            rules.add(key, rule_name(key), row["label"], line)
        return rules


def _names_of(capture: str | None, path: Path) -> list[str | None]:
    """Return the names by which a table may call a capture: its own, and its file's with and without packing."""
    name = printable_name(path.name)
    return [capture, name, name[: len(unpacked_name(name))]]


def file_stem(name: str) -> str:
    """Return a file's name without the suffixes of compression and format."""
    stem = printable_name(name)
    stem = stem[: len(unpacked_name(stem))] or stem
    return (
        re.sub(r"\.(pcapng|pcap|cap|dmp|json|jsonl|ndjson|csv|tsv|parquet)\d*$", "", stem, flags=re.IGNORECASE) or stem
    )
