"""Rules that label flows: by file or folder, by a table, by server name, by nDPI."""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from hf_ntg.errors import InputError
from hf_ntg.flows.capture_out.capture_record import TRUTH_COLUMNS
from hf_ntg.flows.columns import MAX_LABEL
from hf_ntg.flows.packings import unpacked_name
from hf_ntg.flows.reading import FlowBatch, packed_address
from hf_ntg.flows.spreadsheet import unguarded
from hf_ntg.flows.table_in.records import header_of, records
from hf_ntg.flows.unpacking import printable_name

__all__ = ["LabelRules", "ndpi_labels"]

_PROTOCOLS = {"tcp": 6, "udp": 17}
_Endpoints = tuple[int, frozenset[tuple[bytes, int]]]  # protocol, and both endpoints in either order


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
        """Raise InputError if a rule cannot be read."""
        self._lines.check(self.table)
        self._name_lines.check(self.sni)
        _ = self._pattern
        if self.ndpi:
            _nfstream()

    def remarks(self, used: set[str]) -> list[str]:
        """Return remarks on the tables of rules. `used`: rules that labelled a flow, see :meth:`of_flows`."""
        found = []
        for path, rules in ((self.table, self._lines), (self.sni, self._name_lines)):
            if path is None:
                continue
            found += [f"{path}: {count} lines {problem}" for problem, count in rules.problems.items()]
            idle = sorted((line, name) for name, line in rules.line_of.items() if name not in used)
            if idle:
                example = f"line {idle[0][0]}: {idle[0][1]}"
                found.append(f"{path}: {len(idle)} lines fit no flow (first: {example})")
        return found

    def of_file(self, path: Path) -> str | None:
        """Return the label from the name or the folder of a file."""
        if self._pattern is not None:
            match = self._pattern.search(printable_name(path.as_posix()))
            if match:
                named = "label" in self._pattern.groupindex
                return match["label"] if named else match[1]
        if self.file:
            return _stem(path.name)
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
        found = self.by_endpoints(batch, row, [capture, path.name], used)
        if found is None and batch.sni:
            found = self._by_name(batch.sni[row], used)
        return found

    def by_endpoints(
        self, batch: FlowBatch, row: int, captures: Sequence[str | None], used: set[str] | None = None
    ) -> str | None:
        """Return the table's label for the flow at `row`; `captures` are the possible names of its capture."""
        ends = endpoints(batch, row)
        for key in [(capture, ends) for capture in captures] + [(None, ends)] + [(one, None) for one in captures]:
            rule = self._by_capture.get(key)
            if rule is not None:
                if used is not None:
                    used.add(_rule_name(key))
                return rule
        return None

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
    def _by_capture(self) -> dict[tuple[str | None, _Endpoints | None], str]:
        return self._lines.labels

    @cached_property
    def _name_lines(self) -> _RuleTable:
        rules = _RuleTable()
        for line, row in _read_table(self.sni, {"suffix", "label"}, rules) if self.sni else ():
            suffix = str(row["suffix"] or "").lower().strip(".* ")
            if suffix:
                rules.add(suffix, suffix, row["label"], line)
            else:
                rules.problems["have no suffix"] += 1
        return rules

    @cached_property
    def _lines(self) -> _RuleTable:
        rules = _RuleTable()
        for line, row in _read_table(self.table, {"label"}, rules) if self.table else ():
            try:
                key = row.get("capture") or None, _ends_of(row) if row.get("source") else None
            except ValueError as error:
                rules.refuse(f"line {line}: {error}", str(error).partition(":")[0])
                continue
            if key == (None, None):
                rules.refuse(f"line {line}: neither a capture nor a 5-tuple", "have neither a capture nor a 5-tuple")
                continue
            rules.add(key, _rule_name(key), row["label"], line)
        return rules


@dataclass
class _RuleTable:
    """The lines of a table of rules.

    Attributes:
        labels: label by key. line_of: line number by the name of a rule. problems: counts of unused lines, by reason.
        first: the first problem, with its line.
    """

    labels: dict = field(default_factory=dict)
    line_of: dict[str, int] = field(default_factory=dict)
    problems: Counter[str] = field(default_factory=Counter)
    first: str | None = None
    _contradicted: set = field(default_factory=set)

    def add(self, key: object, name: str, label: str, line: int) -> None:
        if key in self._contradicted or self.labels.get(key, label) != label:
            count = 1 if key in self._contradicted else 2
            self._contradicted.add(key)
            self.labels.pop(key, None)
            self.line_of.pop(name, None)
            self.refuse(f"line {line}: contradicts an earlier line", "contradict each other and label nothing", count)
            return
        self.labels[key] = label
        self.line_of.setdefault(name, line)

    def refuse(self, where: str, problem: str, count: int = 1) -> None:
        self.first = self.first or where
        self.problems[problem] += count

    def check(self, path: Path | None) -> None:
        """Raise InputError if no line of the table can be used."""
        if path is not None and not self.labels:
            raise InputError(f"{path}: {self.first or 'no line with a label'}; no line of the table can be used")


def _ends_of(row: dict) -> _Endpoints:
    """Return the 5-tuple in a row of a label table.

    Raises:
        ValueError: the row has no valid 5-tuple. The text before the colon names the kind of problem.
    """
    names = ("source", "source_port", "destination", "destination_port", "protocol")
    cells = [str(row.get(name) or "").strip() for name in names]
    if not all(cells):
        raise ValueError(f"have an incomplete 5-tuple: give {', '.join(names)}")
    source, source_port, destination, destination_port, protocol = cells
    packed = packed_address(source), packed_address(destination)
    for text, address in zip((source, destination), packed, strict=True):
        if not address:
            raise ValueError(f"have a host name or a wrong address in place of an IP address: {text!r}")
    ports = []
    for text in (source_port, destination_port):
        if not text.isdecimal() or int(text[:6]) > 65_535:
            raise ValueError(f"have a port that is not 0 to 65535: {text!r}")
        ports.append(int(text))
    number = str(_PROTOCOLS.get(protocol.lower(), protocol))
    if not number.isdecimal() or int(number[:4]) > 255:
        raise ValueError(f"have a protocol that is neither tcp, udp nor a number: {protocol!r}")
    return int(number), frozenset(zip(packed, ports, strict=True))


def _rule_name(key: tuple[str | None, _Endpoints | None]) -> str:
    """Return a rule of a label table as one line of text."""
    capture, ends = key
    parts = [] if capture is None else [f"capture {capture}"]
    if ends is not None:
        sides = sorted(f"{ipaddress.ip_address(address)} port {port}" for address, port in ends[1])
        parts.append(f"{' and '.join(sides)}, protocol {ends[0]}")
    return ", ".join(parts)


def _stem(name: str) -> str:
    """Return a file's name without the suffixes of compression and format."""
    stem = printable_name(name)
    stem = stem[: len(unpacked_name(stem))] or stem
    return (
        re.sub(r"\.(pcapng|pcap|cap|dmp|json|jsonl|ndjson|csv|tsv|parquet)\d*$", "", stem, flags=re.IGNORECASE) or stem
    )


def endpoints(batch: FlowBatch, row: int) -> _Endpoints | None:
    """Return protocol and endpoints of the flow at `row`, in either direction; None if addresses are not known."""
    flows, source, destination = batch.flows, batch.source, batch.destination
    if not source or not destination or not source[row]:
        return None
    if flows.protocol is None or flows.source_port is None or flows.destination_port is None:
        return None
    ends = (source[row], int(flows.source_port[row])), (destination[row], int(flows.destination_port[row]))
    return int(flows.protocol[row]), frozenset(ends)


def ndpi_labels(path: Path, idle_timeout: float) -> tuple[Callable[[FlowBatch, int], str | None], bool]:
    """Run nDPI over a capture, through nfstream.

    Return a function from a flow to its application, and whether nDPI could read the capture. It cannot read damaged or
    compressed captures.

    Raises:
        InputError: nfstream is not installed.
    """
    streamer = _nfstream()(
        source=str(path),
        idle_timeout=max(1, round(idle_timeout)),
        active_timeout=10**6,
        n_meters=1,
        statistical_analysis=False,
    )
    known: dict[_Endpoints, list[tuple[float, str]]] = {}
    is_readable = True
    try:
        for flow in streamer:
            source, destination = (packed_address(one) for one in (flow.src_ip, flow.dst_ip))
            ends = frozenset(((source, flow.src_port), (destination, flow.dst_port)))
            found = flow.bidirectional_first_seen_ms / 1000, flow.application_name
            known.setdefault((flow.protocol, ends), []).append(found)
    except ValueError:  # nfstream's exception for errors of libpcap
        is_readable = False

    def of_flow(batch: FlowBatch, row: int) -> str | None:
        ends = endpoints(batch, row)
        found = known.get(ends) if ends is not None else None
        if not found or batch.start is None:
            return None
        start = float(batch.start[row]) + 0.001  # nfstream keeps whole milliseconds
        begun = [one for one in found if one[0] <= start]
        return max(begun)[1] if begun else min(found)[1]

    return of_flow, is_readable


def _nfstream():
    try:
        from nfstream import NFStreamer
    except ImportError as error:
        raise InputError("labels by nDPI need nfstream: pip install nfstream") from error
    return NFStreamer


def _read_table(path: Path, needed: set[str], rules: _RuleTable) -> Iterator[tuple[int, dict]]:
    """Yield the rows of a CSV file that have a label, each with its line number; count the others in `rules`.

    Raises:
        InputError: the file cannot be read, or a column is missing.
    """
    header = header_of(path)
    missing = needed - set(header)
    if missing:
        raise InputError(f"{path}: no column {', '.join(sorted(missing))} in its first line")
    is_ours = tuple(header) == TRUTH_COLUMNS
    for line, row in enumerate(records(path), start=2):
        if isinstance(row, str):
            rules.refuse(f"line {line}: {row}", f"cannot be read ({row})")
        elif row["label"] in (None, ""):
            rules.refuse(f"line {line}: no label", "have no label")
        elif len(str(row["label"])) > MAX_LABEL:
            rules.refuse(f"line {line}: a label of more than {MAX_LABEL:,} characters", "have a label that is too long")
        else:
            if is_ours:  # a table that was written beside a capture
                row |= {name: unguarded(str(row[name])) for name in ("capture", "label") if row[name]}
            yield line, row | {"label": str(row["label"])}
