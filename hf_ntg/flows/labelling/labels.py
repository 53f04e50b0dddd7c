"""Rules that say what class a flow is of: by the file it lies in, by a table, by server name, by nDPI."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from hf_ntg.errors import InputError
from hf_ntg.flows.reading import FlowBatch, packed_address

__all__ = ["LabelRules", "ndpi_labels"]

_PROTOCOLS = {"tcp": 6, "udp": 17}
_Endpoints = tuple[int, frozenset[tuple[bytes, int]]]  # protocol, and both ends in whatever order


@dataclass(frozen=True)
class LabelRules:
    """Where labels come from. Where several rules fit a flow, the most particular one holds, in the order given here.

    Args:
        table: CSV with a column ``label`` and either ``capture`` (name of a capture as in the flow table, or of its
            file), or ``source, source_port, destination, destination_port, protocol`` (either direction; tcp, udp or a
            number), or all six.
        sni: CSV with columns ``suffix, label``: names that are the suffix or end in a dot and it; the longest holds.
        ndpi: nDPI's application by nfstream (``pip install nfstream``).
        pattern: regular expression searched in the path of the file (with ``/``); its group ``label``, or its
            first, is the label.
        folder: the folder that the file lies in is the label.
        constant: label of all flows that no rule fits.
    """

    table: Path | None = None
    sni: Path | None = None
    ndpi: bool = False
    pattern: str | None = None
    folder: bool = False
    constant: str | None = None

    @property
    def given(self) -> bool:
        """Is there any rule?"""
        return any((self.table, self.sni, self.ndpi, self.pattern, self.folder, self.constant is not None))

    def check(self) -> None:
        """Raise InputError where a rule cannot be read."""
        _ = self._by_capture, self._suffixes, self._pattern
        if self.ndpi:
            _nfstream()

    def of_file(self, path: Path) -> str | None:
        """The label that the file's name and folder tell."""
        if self._pattern is not None:
            match = self._pattern.search(path.as_posix())
            if match:
                named = "label" in self._pattern.groupindex
                return match["label"] if named else match[1]
        return path.resolve().parent.name if self.folder else self.constant

    def of_flows(
        self, batch: FlowBatch, path: Path, by_ndpi: Callable[[FlowBatch, int], str | None] | None
    ) -> np.ndarray:
        """(N,) object: a label for every flow, its own where no rule fits.

        Args:
            path: the file the flows come from. by_ndpi: what :func:`ndpi_labels` gave for the file.
        """
        general, labels = self.of_file(path), batch.flows.label.copy()
        for row in range(len(batch)):
            found = self._of_flow(batch, row, path) if self.table or self.sni else None
            if found is None and by_ndpi is not None:
                found = by_ndpi(batch, row)
            if found is None and labels[row] is None:
                found = general
            if found is not None:
                labels[row] = found
        return labels

    def _of_flow(self, batch: FlowBatch, row: int, path: Path) -> str | None:
        found = self.by_endpoints(batch, row, [batch.flows.capture[row], path.name])
        if found is None and batch.sni:
            found = self._by_name(batch.sni[row])
        return found

    def by_endpoints(self, batch: FlowBatch, row: int, captures: list[str]) -> str | None:
        """What the table says of the flow at `row`, whose capture goes by any of the names `captures`."""
        ends = endpoints(batch, row)
        for key in [(capture, ends) for capture in captures] + [(None, ends)] + [(one, None) for one in captures]:
            if key in self._by_capture:
                return self._by_capture[key]
        return None

    def _by_name(self, name: str | None) -> str | None:
        while name:
            if name in self._suffixes:
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

    @cached_property
    def _suffixes(self) -> dict[str, str]:
        rows = _read_csv(self.sni, {"suffix", "label"}) if self.sni else []
        return {row["suffix"].lower().strip(".* "): row["label"] for row in rows}

    @cached_property
    def _by_capture(self) -> dict[tuple[str | None, _Endpoints | None], str]:
        rows = _read_csv(self.table, {"label"}) if self.table else []
        found = {}
        for line, row in enumerate(rows, start=2):
            ends = None
            if row.get("source"):
                try:
                    protocol = row["protocol"].strip().lower()
                    ports = int(row["source_port"]), int(row["destination_port"])
                    addresses = packed_address(row["source"].strip()), packed_address(row["destination"].strip())
                    ends = int(_PROTOCOLS.get(protocol, protocol)), frozenset(zip(addresses, ports, strict=True))
                except (KeyError, ValueError, AttributeError) as error:
                    raise InputError(
                        f"{self.table}: line {line}: not a 5-tuple; give source, source_port, destination, "
                        "destination_port and protocol"
                    ) from error
            capture = row.get("capture") or None
            if ends is None and capture is None:
                raise InputError(f"{self.table}: line {line}: neither a capture nor a 5-tuple to give the label to")
            found[capture, ends] = row["label"]
        return found


def endpoints(batch: FlowBatch, row: int) -> _Endpoints | None:
    """What tells the flow at `row` apart from others, whoever began it; None where addresses are not known."""
    if not batch.source or not batch.source[row]:
        return None
    flows = batch.flows
    ends = (batch.source[row], int(flows.source_port[row])), (batch.destination[row], int(flows.destination_port[row]))
    return int(flows.protocol[row]), frozenset(ends)


def ndpi_labels(path: Path, idle_timeout: float) -> tuple[Callable[[FlowBatch, int], str | None], bool]:
    """Run nDPI over a capture by nfstream; give a function that tells the application of a flow, and whether nDPI could
    read the capture (it reads neither damaged nor packed ones).

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
    except ValueError:  # how nfstream hands on what libpcap says
        is_readable = False

    def of_flow(batch: FlowBatch, row: int) -> str | None:
        found = known.get(endpoints(batch, row))
        if not found:
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


def _read_csv(path: Path, needed: set[str]) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            missing = needed - set(rows.fieldnames or ())
            if missing:
                raise InputError(f"{path}: no column {', '.join(sorted(missing))} in its first line")
            return [row for row in rows if row["label"]]
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror})") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not CSV text ({error})") from error
