"""Turns the raw rows of a table into flows, once the table's convention is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

import numpy as np

from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.reading import FlowBatch
from hf_ntg.flows.schema import MAX_PAYLOAD
from hf_ntg.flows.table_in.conventions import Convention, trailing
from hf_ntg.flows.table_in.ragged import Ragged
from hf_ntg.flows.table_in.raw_batch import NUMBERS, RawBatch

__all__ = ["Conversion"]


class Conversion:
    """Converts raw rows by the convention of their table. Rows that are no flows are counted by reason and left out.

    Args:
        convention: how the table writes packets.
        columns: the packet columns to keep.
        max_packets: packets to keep of each flow; all if None.
        skipped, noticed: counters of rows left out and of remarks, which this adds to.
    """

    def __init__(
        self,
        convention: Convention,
        columns: Collection[str],
        max_packets: int | None,
        skipped: Counter[str],
        noticed: Counter[str],
    ) -> None:
        self.convention, self.columns, self.max_packets = convention, columns, max_packets
        self.skipped, self.noticed = skipped, noticed

    def flows(self, raw: RawBatch) -> FlowBatch:
        """Return the rows of `raw` that are flows."""
        lists = {name: one for name, one in raw.lists.items() if name in self.columns}
        kept = self._whole_rows(lists)
        lists = {name: one.take(kept) for name, one in lists.items()}
        lists, had_packets, uncut = self._without_padding(lists)
        rows = np.flatnonzero(kept)[had_packets]
        lists = {name: one.take(had_packets) for name, one in lists.items()}
        columns, problem = _columns(lists, self.convention)
        for reason, mask in problem.items():
            if mask.any():
                self.skipped[reason] += int(mask.sum())
        good = ~np.logical_or.reduce([np.zeros(len(rows), bool), *problem.values()])
        rows, counts = rows[good], lists["payload_length"].counts
        packets = np.repeat(good, counts)
        counts = counts[good]
        columns = {name: values[packets] for name, values in columns.items()}
        facts = {name: [cells[row] for row in rows] for name, cells in raw.facts.items()}
        facts["packet_count"] = [
            held if given is None else given
            for given, held in zip(facts["packet_count"], uncut[good].tolist(), strict=True)
        ]
        return self._flow_batch(columns, counts, facts)

    def _whole_rows(self, lists: dict[str, Ragged]) -> np.ndarray:
        """(n,) bool: the lists of a row are there, readable and equally long."""
        length = lists["payload_length"]
        unreadable = np.logical_or.reduce([one.unreadable for one in lists.values()])
        missing = np.zeros(len(length), bool)
        unequal = np.zeros(len(length), bool)
        for name, one in lists.items():
            if name != "tcp_window":
                missing |= one.counts < 0
            is_short = name == "inter_arrival_time" and self.convention.short_gaps
            wanted = np.maximum(length.counts - 1, 0) if is_short else length.counts
            unequal |= (one.counts != wanted) & ~((name == "tcp_window") & (one.counts < 0))
        reasons = {
            "a packet list that is no list of numbers": unreadable,
            "a packet list is missing": missing & ~unreadable,
            "packet lists of unequal length": unequal & ~missing & ~unreadable,
            "no packets": (length.counts == 0) & ~unequal & ~missing & ~unreadable,
        }
        for reason, mask in reasons.items():
            if mask.any():
                self.skipped[reason] += int(mask.sum())
        return ~(unreadable | missing | unequal | (length.counts == 0))

    def _without_padding(self, lists: dict[str, Ragged]) -> tuple[dict[str, Ragged], np.ndarray, np.ndarray]:
        """The lists as the schema has them, without padding: gaps of all packets, windows of all rows.

        Also (n,) bool: rows that hold packets; and the number of packets of each of these rows before it is cut.
        """
        length = lists["payload_length"]
        counts = length.counts
        lists = dict(lists)
        times, windows = lists.get("inter_arrival_time"), lists.get("tcp_window")
        if times is not None and self.convention.short_gaps:
            filled = np.zeros(int(counts.sum()))
            starts = np.zeros(len(filled), bool)
            starts[(np.cumsum(counts) - counts)[counts > 0]] = True
            filled[~starts] = times.values
            lists["inter_arrival_time"] = Ragged(counts, filled, times.unreadable)
        if windows is not None:
            unknown = windows.counts < 0
            if unknown.any():
                self.noticed["flows without TCP windows, taken as 0"] += int(unknown.sum())
                filled = np.zeros(int(counts.sum()))
                filled[np.repeat(~unknown, counts)] = windows.values
                lists["tcp_window"] = Ragged(counts, filled, windows.unreadable)
        runs = trailing(length, lists.get("direction"), lists.get("inter_arrival_time"))
        run = np.zeros(len(length), np.int64)
        for kind in self.convention.padding:
            self.noticed[f"rows with padding ({kind}) behind the last packet, which was stripped"] += int(
                ((runs[kind] > 0) & (runs[kind] > run)).sum()
            )
            run = np.maximum(run, runs[kind])
        self.noticed += Counter()  # drops counts of 0
        held = counts - run
        if (held == 0).any():
            self.skipped["no packets"] += int((held == 0).sum())
        cut = held if self.max_packets is None else np.minimum(held, self.max_packets)
        position = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        inside = position < np.repeat(cut, counts)
        lists = {name: Ragged(cut, one.values[inside], one.unreadable) for name, one in lists.items()}
        return lists, held > 0, held[held > 0]

    def _flow_batch(self, columns: dict[str, np.ndarray], counts: np.ndarray, facts: dict[str, list]) -> FlowBatch:
        """Build the flows from packet columns in schema terms, packets of each flow, and the other columns."""
        seconds = columns.get("inter_arrival_time")
        if seconds is not None and (seconds < 0).any():
            self.noticed["inter-arrival times below 0, taken as 0"] += int((seconds < 0).sum())
            seconds = np.maximum(seconds, 0)
        windows = columns.get("tcp_window")
        texts: dict[str, Any] = {name: _objects(facts[name]) for name in ("flow_id", "label", "capture")}
        numbers: dict[str, Any] = {
            name: np.array([-1 if one is None else one for one in facts[name]], np.int32) for name in NUMBERS
        }
        flows = FlowArrays(
            offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            payload_length=columns["payload_length"].astype(np.int32),
            direction=columns["direction"].astype(np.int8),
            inter_arrival_time=None if seconds is None else seconds.astype(np.float32),
            tcp_window=None if windows is None else windows.astype(np.int32),
            **texts,
            **numbers,
        )
        return FlowBatch(flows, source=facts["source"], destination=facts["destination"], sni=facts["sni"])


def _columns(lists: dict[str, Ragged], convention: Convention) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Packet columns in the schema's terms, and which rows have which problem."""
    length = lists["payload_length"]
    counts, values = length.counts, length.values
    direction = lists.get("direction")
    if direction is None:
        signs = np.where(np.signbit(values), -1, 1)
    else:
        signs = np.zeros(len(values), np.int64)
        for value, sign in convention.directions.items():
            signs[direction.values == value] = sign
    columns = {"payload_length": np.abs(values) if convention.signed else values, "direction": signs}
    found = {
        f"a payload length that is not 0 to {MAX_PAYLOAD}": ~_within(columns["payload_length"], MAX_PAYLOAD),
        "a direction that is neither of the two": signs == 0,
    }
    times, windows = lists.get("inter_arrival_time"), lists.get("tcp_window")
    if times is not None:
        columns["inter_arrival_time"] = seconds = _gaps(times, convention)
        with np.errstate(over="ignore"):
            found["an inter-arrival time that is not finite"] = ~np.isfinite(seconds.astype(np.float32))
    if windows is not None:
        columns["tcp_window"] = windows.values
        found["a TCP window that is not 0 to 65535"] = ~_within(windows.values, 65_535)
    row = np.repeat(np.arange(len(length)), counts)
    problems, seen = {}, np.zeros(len(length), bool)
    for reason, bad in found.items():
        rows = np.bincount(row[bad], minlength=len(length)) > 0
        problems[reason] = rows & ~seen
        seen |= rows
    for name, column in columns.items():
        columns[name] = np.nan_to_num(column, nan=0, posinf=0, neginf=0)  # of rows that are left out
    return columns, problems


def _gaps(times: Ragged, convention: Convention) -> np.ndarray:
    """Inter-arrival times in seconds; an unknown or absent first one is 0."""
    values = times.values
    starts = (np.cumsum(times.counts) - times.counts)[times.counts > 0]
    if convention.timestamps:
        values = np.diff(values, prepend=0.0)
        values[starts] = 0
    else:
        values = values.copy()
        values[starts if convention.starts_first else starts[np.isnan(values[starts])]] = 0
    return values * convention.unit


def _within(values: np.ndarray, high: int) -> np.ndarray:
    return (values >= 0) & (values <= high) & (values == np.floor(values))


def _objects(cells: list) -> np.ndarray:
    column = np.empty(len(cells), object)
    column[:] = cells
    return column
