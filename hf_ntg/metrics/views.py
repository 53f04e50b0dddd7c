"""How every metric sees its flows: labelled, cut to one length, with one numbering of the classes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays

__all__ = [
    "ENDED",
    "FlowSet",
    "FlowView",
    "bounded_scores",
    "cut_to",
    "cut_to_one_size",
    "open_scores",
    "row_bytes",
    "view_flows",
]

FlowSet = Dataset | FlowArrays

ENDED = -1


@dataclass(frozen=True)
class FlowView:
    """Labelled flows cut to `max_packets`, and the number of the class each belongs to.

    Attributes:
        flows: N flows. classes: (N,) int64, place of the label in the names that the views share.
        num_classes: how many names there are. max_packets: the cut.
    """

    flows: FlowArrays
    classes: np.ndarray
    num_classes: int
    max_packets: int

    def __len__(self) -> int:
        return len(self.flows)

    def take(self, rows: np.ndarray) -> FlowView:
        """The flows at `rows` (indices or a boolean mask), in that order."""
        return replace(self, flows=self.flows.take(rows), classes=self.classes[rows])

    @cached_property
    def class_counts(self) -> np.ndarray:
        """(num_classes,) flows of each class."""
        return np.bincount(self.classes, minlength=self.num_classes)

    @cached_property
    def packet_class(self) -> np.ndarray:
        """(P,) class of the flow each packet belongs to."""
        return self.classes[self.flows.flow_index]

    @cached_property
    def symbols(self) -> np.ndarray:
        """(N, max_packets) int32: direction and payload length of each packet, -1 where the flow has ended."""
        return self.flows.padded("packet_symbol", self.max_packets, fill=ENDED)

    @cached_property
    def signed_lengths(self) -> np.ndarray:
        """(N, max_packets) int32: direction times payload length, 0 where the flow has ended."""
        return self.flows.padded("signed_length", self.max_packets)


def view_flows(*sets: FlowSet, max_packets: int) -> tuple[list[str], list[FlowView]]:
    """Give each of `sets` a view, and the sorted names of all classes found in any of them.

    Flows without a label belong to no class and are left out.

    Raises:
        InputError: a set holds no labelled flow.
    """
    arrays = [flows if isinstance(flows, FlowArrays) else FlowArrays.from_dataset(flows) for flows in sets]
    labels = [pa.array(flows.label, pa.string(), from_pandas=True) for flows in arrays]
    names = pa.array(sorted(set().union(*(pc.unique(column).to_pylist() for column in labels)) - {None}), pa.string())
    views = []
    for flows, column in zip(arrays, labels, strict=True):
        classes = pc.index_in(column, value_set=names).fill_null(-1).to_numpy().astype(np.int64)
        if (classes < 0).any():
            flows, classes = flows.take(classes >= 0), classes[classes >= 0]
        if not len(flows):
            raise InputError("a set to be compared holds no labelled flow; fill the column 'label'")
        views.append(FlowView(flows.head(max_packets), classes, len(names), max_packets))
    return names.to_pylist(), views


def cut_to_one_size(views: list[FlowView], seed: int, most: int) -> list[FlowView]:
    """Each view cut to the size of the smallest, or `most`, by flows drawn without replacement."""
    size = min([most, *map(len, views)])
    rng = np.random.default_rng(seed)
    return [view.take(np.sort(rng.choice(len(view), size, replace=False))) for view in views]


def cut_to(view: FlowView, most: int, seed: int) -> FlowView:
    """`view`, or `most` of its flows, drawn without replacement, where it has more."""
    return view if len(view) <= most else cut_to_one_size([view], seed, most)[0]


def bounded_scores(names: list[str], real: FlowView, synthetic: FlowView, scores: np.ndarray, worst: float) -> dict:
    """The result of a metric with a worst value, from its (num_classes,) `scores`.

    Returns:
        ``overall``: unweighted mean over the classes of `real`. ``weighted``: each class weighted by its share of
        `real`. ``per_class``. ``missing``: classes of `real` that `synthetic` lacks: they score `worst`. ``unjudged``:
        classes of `synthetic` that `real` lacks: they are left out.
    """
    judged = real.class_counts > 0
    missing = judged & (synthetic.class_counts == 0)
    scores = np.where(missing, worst, scores)
    return {
        "overall": float(scores[judged].mean()),
        "weighted": float(np.average(scores[judged], weights=real.class_counts[judged])),
        "per_class": {names[c]: float(scores[c]) for c in np.flatnonzero(judged)},
        "missing": [names[c] for c in np.flatnonzero(missing)],
        "unjudged": [names[c] for c in np.flatnonzero(~judged & (synthetic.class_counts > 0))],
    }


def open_scores(names: list[str], scores: dict[int, float]) -> dict:
    """The result of a metric without a worst value, from the scores of those classes that can be compared.

    Returns:
        ``overall``: unweighted mean of `scores`, None (with a ``reason``) where there are none. ``per_class``.
        ``unjudged``: the other classes, left out.
    """
    found = {
        "overall": float(np.mean(list(scores.values()))) if scores else None,
        "per_class": {names[c]: float(score) for c, score in scores.items()},
        "unjudged": [name for c, name in enumerate(names) if c not in scores],
    }
    return found if scores else {**found, "reason": "no class can be compared"}


def row_bytes(matrix: np.ndarray) -> np.ndarray:
    """(N,) the rows of a matrix as single values, which sort and compare whole."""
    matrix = np.ascontiguousarray(matrix)
    return matrix.view(np.dtype((np.void, matrix.dtype.itemsize * matrix.shape[1]))).ravel()
