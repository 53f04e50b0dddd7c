"""Chooses the order and the start times of flows: classes are mixed in time, by Poisson processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from datasets import Dataset, concatenate_datasets

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.schema import conform_flows, conform_parts

__all__ = ["Schedule", "Scheduled"]

_NANOSECONDS = 1_000_000_000
_FLOWS_AT_ONCE = 2_048
_WINDOW = 1 << 18  # flows of a stream that are mixed with each other


@dataclass(frozen=True)
class Scheduled:
    """Flows in the order of their start times.

    Attributes:
        flows: the flows with their packet view and ``flow_id``, which is the row of the table if it has none.
        start: (N,) int64 ns since 1970.
    """

    flows: FlowArrays
    start: np.ndarray


class Schedule:
    """Draws the order and the start times of flows.

    A table is mixed as a whole. A stream is mixed 262,144 flows at a time, or as a whole if classes have rates.

    Args:
        rate: flows that start per second, for all classes without their own rate. class_rates: rates by label.
        start: start of the capture, ns since 1970. tick: resolution of the times in nanoseconds.
        mix: whether flows are shuffled; otherwise they keep their order, unless classes have rates.
        rng: draws order and times. view: packet view of the flows; None: see :meth:`batches`.
    """

    def __init__(
        self,
        rate: float,
        class_rates: Mapping[str, float],
        start: int,
        tick: int,
        mix: bool,
        rng: np.random.Generator,
        view: str | None = None,
    ) -> None:
        self.view = view
        self.rate, self.class_rates, self.tick, self.mix, self.rng = rate, dict(class_rates), tick, mix, rng
        self._clock: dict[str | None, int] = dict.fromkeys([None, *self.class_rates], start)

    def batches(self, flows: object) -> Iterator[Scheduled]:
        """Yield all flows, a fixed number at a time, independent of the size of the tables.

        If no packet view was given, the first flows that are mixed decide it. If they name their view, that is used;
        otherwise the view is ``payload`` if none of their packets is empty.

        Raises:
            InputError: there are no flows, they break the schema, or a class with a rate is not among them.
        """
        seen: set[str] = set()
        first = 0
        for window in self._windows(flows):
            seen |= set(self.class_rates) & set(window.label) if self.class_rates else set()
            if window.flow_id is None:
                window = replace(window, flow_id=np.arange(first, first + len(window)).astype(str).astype(object))
            if self.view is None:
                self.view = window.view or ("payload" if (window.payload_length > 0).all() else "all")
            window = replace(window, view=self.view)
            first += len(window)
            order, start = self._drawn(window.label)
            for begin in range(0, len(order), _FLOWS_AT_ONCE):
                rows = slice(begin, begin + _FLOWS_AT_ONCE)
                yield Scheduled(window.take(order[rows]), start[rows])
        unknown = sorted(set(self.class_rates) - seen)
        if unknown:
            raise InputError(f"rate of {unknown[0]!r}: there are no flows of this class")

    def _windows(self, flows: object) -> Iterator[FlowArrays]:
        """Yield the flows in pieces; each piece is mixed by itself."""
        if isinstance(flows, Dataset):
            yield from self._windows_of_table(flows)
            return
        held: list[Dataset] = []
        count = 0
        for table in conform_parts(flows, "flows to write"):
            held.append(table)
            count += len(table)
            while count >= _WINDOW and not self.class_rates:
                whole = concatenate_datasets(held)
                yield _checked(whole.select(range(_WINDOW)))
                count -= _WINDOW
                held = [whole.select(range(_WINDOW, len(whole)))] if count else []
        if held:
            yield _checked(concatenate_datasets(held) if len(held) > 1 else held[0])

    def _windows_of_table(self, flows: Dataset) -> Iterator[FlowArrays]:
        flows = conform_flows(flows, "flows to write")
        if len(flows) <= _WINDOW or self.class_rates:
            yield FlowArrays.from_dataset(flows)
            return
        order = self.rng.permutation(len(flows)) if self.mix else np.arange(len(flows))
        for begin in range(0, len(flows), _WINDOW):
            rows = order[begin : begin + _WINDOW]
            window = FlowArrays.from_dataset(flows.select(rows))
            yield window if window.flow_id is not None else replace(window, flow_id=rows.astype(str).astype(object))

    def _drawn(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the order of N flows by start time, and the start times in that order: (N,) each."""
        order = self.rng.permutation(len(labels)) if self.mix else np.arange(len(labels))
        if not self.class_rates:
            return order, self._beginnings(None, len(labels))
        clocks = [label if label in self.class_rates else None for label in labels[order]]
        start = np.zeros(len(labels), np.int64)
        for name in self._clock:
            rows = np.flatnonzero([clock == name for clock in clocks])
            start[rows] = self._beginnings(name, len(rows))
        by_time = np.argsort(start, kind="stable")
        return order[by_time], start[by_time]

    def _beginnings(self, name: str | None, count: int) -> np.ndarray:
        """Return the start times of the next `count` flows of the class, ns since 1970: (count,) int64."""
        rate = self.rate if name is None else self.class_rates[name]
        gaps = self.rng.exponential(_NANOSECONDS / rate, size=count)
        start = self._clock[name] + np.cumsum(np.rint(gaps / self.tick).astype(np.int64) * self.tick)
        if count:
            self._clock[name] = int(start[-1])
        return start


def _checked(flows: Dataset) -> FlowArrays:
    """The flows as arrays; tables put together may differ in which optional columns they know."""
    return FlowArrays.from_dataset(conform_flows(flows, "flows to write"))
