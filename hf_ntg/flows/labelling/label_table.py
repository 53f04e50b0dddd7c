"""Tables of label rules: their lines, their keys, and what is wrong with them."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hf_ntg.errors import InputError
from hf_ntg.flows.capture_out.capture_record import TRUTH_COLUMNS
from hf_ntg.flows.columns import MAX_LABEL
from hf_ntg.flows.reading import FlowBatch, packed_address
from hf_ntg.flows.spreadsheet import unguarded
from hf_ntg.flows.table_in.records import header_of, records

__all__ = ["Endpoints", "RuleTable", "endpoints_of", "endpoints_of_line", "read_rules", "rule_name"]

_PROTOCOLS = {"tcp": 6, "udp": 17}
Endpoints = tuple[int, frozenset[tuple[bytes, int]]]  # protocol, and both endpoints in either order


@dataclass
class RuleTable:
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


def read_rules(path: Path, needed: set[str], rules: RuleTable) -> Iterator[tuple[int, dict]]:
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
        elif not str(row["label"] or "").strip() and not (is_ours and row["label"]):
            rules.refuse(f"line {line}: no label", "have no label")
        elif len(str(row["label"])) > MAX_LABEL:
            rules.refuse(f"line {line}: a label of more than {MAX_LABEL:,} characters", "have a label that is too long")
        else:
            if is_ours:  # a table that was written beside a capture
                row |= {name: unguarded(str(row[name])) for name in ("capture", "label") if row[name]}
            yield line, row | {"label": str(row["label"])}


def endpoints_of(batch: FlowBatch, row: int) -> Endpoints | None:
    """Return protocol and endpoints of the flow at `row`, in either direction; None if addresses are not known."""
    flows, source, destination = batch.flows, batch.source, batch.destination
    if not source or not destination or not source[row]:
        return None
    if flows.protocol is None or flows.source_port is None or flows.destination_port is None:
        return None
    ends = (source[row], int(flows.source_port[row])), (destination[row], int(flows.destination_port[row]))
    return int(flows.protocol[row]), frozenset(ends)


def endpoints_of_line(row: dict) -> Endpoints:
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


def rule_name(key: tuple[str | None, Endpoints | None]) -> str:
    """Return a rule of a label table as one line of text."""
    capture, ends = key
    parts = [] if capture is None else [f"capture {capture}"]
    if ends is not None:
        sides = sorted(f"{ipaddress.ip_address(address)} port {port}" for address, port in ends[1])
        parts.append(f"{' and '.join(sides)}, protocol {ends[0]}")
    return ", ".join(parts)
