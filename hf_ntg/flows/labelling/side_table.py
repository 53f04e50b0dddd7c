"""Reads labels from the flow table that this package writes next to a capture.

The table of ``x.pcap`` is ``x.flows.csv`` in the same folder. If ``x`` is a folder with one capture per flow,
``x.flows.csv`` is next to that folder and names the captures by their paths in it (see
:mod:`hf_ntg.flows.capture_out.capture_record`). The captures may be packed (``x.pcap.gz``). A capture and its table may
be renamed together: a table that names one capture only is that of the capture next to it, whatever name it gives.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from hf_ntg.flows.capture_out.capture_record import TRUTH_COLUMNS
from hf_ntg.flows.labelling.labels import LabelRules, file_stem
from hf_ntg.flows.reading import FlowBatch

__all__ = ["SideTable", "is_side_table"]

_SUFFIX = ".flows.csv"


def is_side_table(path: Path) -> bool:
    """Return whether `path` is such a table, by its name and first line."""
    if not path.name.endswith(_SUFFIX) or not path.is_file():
        return False
    head = ",".join(TRUTH_COLUMNS).encode()
    with path.open("rb") as file:
        return file.readline(2 * len(head)).strip() == head


class SideTable:
    """The lines of the table at `path` for the capture that it calls `name`.

    Attributes:
        labelled: number of flows that it has labelled so far.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.labelled = path, 0
        self._rules = _rules(path, path.stat().st_mtime_ns)
        named = self._rules.captures
        self._names = [name, *(named if len(named) == 1 else ())]

    @classmethod
    def of(cls, capture: Path) -> SideTable | None:
        """Return the table next to `capture`, or next to its folder of captures; None if there is none."""
        place = capture.resolve()
        stem = file_stem(place.name)
        candidates = [(place.with_name(name + _SUFFIX), name) for name in (place.stem, stem)]
        candidates += [
            (folder.with_name(folder.name + _SUFFIX), place.relative_to(folder).with_name(stem).as_posix())
            for folder in place.parents[:2]
            if folder.name  # the root has none
        ]
        return next((cls(path, name) for path, name in candidates if is_side_table(path)), None)

    def labels(self, batch: FlowBatch) -> np.ndarray:
        """Return the labels of the flows in `batch`, (N,) object. Flows without a label in the table keep their own."""
        labels = batch.flows.label.copy()
        for row in range(len(batch)):
            found = self._rules.by_endpoints(batch, row, self._names)
            if found is not None:
                labels[row] = found
                self.labelled += 1
        return labels


@lru_cache(maxsize=2)  # a folder of many captures has one table
def _rules(path: Path, _changed: int) -> LabelRules:
    return LabelRules(table=path)
