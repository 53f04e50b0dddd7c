"""FlowView, the input of every metric: labelled flows, cut to one length, with one numbering of the classes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays, as_arrays
from hf_ntg.flows.view import in_one_view

__all__ = [
    "ENDED",
    "FlowSet",
    "FlowView",
    "bounded_scores",
    "cut_to",
    "cut_to_one_size",
    "of_known_captures",
    "open_scores",
    "pair_by_class",
    "row_bytes",
    "view_flows",
]

FlowSet: TypeAlias = Dataset | FlowArrays

ENDED = -1


@dataclass(frozen=True)
class FlowView:
    """Labelled flows cut to `max_packets` packets, and the number of each flow's class.

    Attributes:
        flows: N flows. classes: (N,) int64, the index of the label in the list of names that all views share.
        num_classes: length of that list. max_packets: packets that are kept of each flow.
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
        """(P,) the class of the flow that each packet belongs to."""
        return self.classes[self.flows.flow_index]

    @cached_property
    def symbols(self) -> np.ndarray:
        """(N, max_packets) int32: a number for direction and payload length of each packet, -1 after the end."""
        return self.flows.padded("packet_symbol", self.max_packets, fill=ENDED)

    @cached_property
    def signed_sizes(self) -> np.ndarray:
        """(N, max_packets) int32: ``direction * (1 + payload length)``, 0 after the flow's end.

        The 1 keeps an empty packet (1 or -1) apart from a flow that has ended (0).
        """
        step = self.flows.direction.astype(np.int32)
        sizes = self.flows.padded("signed_length", self.max_packets)
        sizes[self.flows.flow_index, self.flows.position] += step
        return sizes


def view_flows(*sets: FlowSet, max_packets: int) -> tuple[list[str], list[FlowView]]:
    """Prepare sets of flows for a comparison: labelled, in one packet view, cut, with one numbering of the classes.

    Real flows take the packet view of the synthetic ones, see :func:`hf_ntg.flows.view.common_view`. Flows without a
    label belong to no class and are left out.

    Returns:
        The sorted names of all classes, and a view of each of `sets`.

    Raises:
        InputError: a set holds no labelled flow, or two sets are in different packet views.
    """
    given = {f"set {place}": as_arrays(flows) for place, flows in enumerate(sets, 1)}
    _warn_of_unnamed_views(given)
    arrays = in_one_view(given)[0].values()
    labels = [pa.array(flows.label, pa.string(), from_pandas=True) for flows in arrays]
    known = set().union(*(pc.unique(column).to_pylist() for column in labels)) - {None}
    names = pa.array(sorted(known), pa.string())
    views = []
    for flows, column in zip(arrays, labels, strict=True):
        classes = pc.index_in(column, value_set=names).fill_null(-1).to_numpy().astype(np.int64)
        if (classes < 0).any():
            flows, classes = flows.take(classes >= 0), classes[classes >= 0]
        if not len(flows):
            raise InputError("a set to be compared holds no labelled flow; fill the column 'label'")
        views.append(FlowView(flows.head(max_packets), classes, len(names), max_packets))
    return names.to_pylist(), views


def _warn_of_unnamed_views(sets: dict[str, FlowArrays]) -> None:
    """Warn where no set names its packet view, and some have empty packets and others none."""
    if any(flows.view is not None for flows in sets.values()):
        return
    empty = [bool((flows.payload_length == 0).any()) for flows in sets.values()]
    if any(empty) and not all(empty):
        warnings.warn(
            "some of the compared sets hold empty packets and others none, and no set names its packet view; if they "
            "are in different views, put all of them into 'payload' first (hf_ntg.flows.view.in_view)",
            stacklevel=3,
        )


def cut_to_one_size(views: list[FlowView], seed: int, most: int) -> list[FlowView]:
    """Each view cut to the size of the smallest, or to `most`, by flows drawn without replacement."""
    size = min([most, *map(len, views)])
    rng = np.random.default_rng(seed)
    return [view.take(np.sort(rng.choice(len(view), size, replace=False))) for view in views]


def cut_to(view: FlowView, most: int, seed: int) -> FlowView:
    """`view`, or `most` of its flows, drawn without replacement, where it has more."""
    return view if len(view) <= most else cut_to_one_size([view], seed, most)[0]


def pair_by_class(one: FlowView, other: FlowView, seed: int) -> tuple[FlowView, FlowView]:
    """Both views cut to the same number of flows of each class: the smaller of the two, drawn by `seed`."""
    size = np.minimum(one.class_counts, other.class_counts)
    rng = np.random.default_rng(seed)
    cut = []
    for view in (one, other):
        order = rng.permutation(len(view))
        by_class = order[np.argsort(view.classes[order], kind="stable")]
        starts = np.cumsum(view.class_counts) - view.class_counts
        rank = np.arange(len(view)) - starts[view.classes[by_class]]
        cut.append(view.take(np.sort(by_class[rank < size[view.classes[by_class]]])))
    return cut[0], cut[1]


def of_known_captures(view: FlowView, train: FlowView) -> FlowView:
    """The flows of `view` that come from captures of `train`; all of them where a side does not name its captures.

    Flows of another capture differ from the training flows whatever a model has learned, so a test for memorisation may
    only use flows of the training captures.
    """
    if view.flows.capture is None or train.flows.capture is None:
        return view
    known = set(train.flows.capture.tolist()) - {None}
    if not known:
        return view
    return view.take(np.array([name is None or name in known for name in view.flows.capture], dtype=bool))


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
    """(N,) the rows of a matrix as single values, so that whole rows can be sorted and compared."""
    matrix = np.ascontiguousarray(matrix)
    return matrix.view(np.dtype((np.void, matrix.dtype.itemsize * matrix.shape[1]))).ravel()
