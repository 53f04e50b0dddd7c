"""How every metric sees its flows: labelled, cut to one length, with one numbering of the classes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset

from hf_ntg.flows.arrays import FlowArrays

__all__ = ["FlowSet", "FlowView", "view_flows"]

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
    """
    arrays = [flows if isinstance(flows, FlowArrays) else FlowArrays.from_dataset(flows) for flows in sets]
    labels = [pa.array(flows.label, pa.string(), from_pandas=True) for flows in arrays]
    names = pa.array(sorted(set().union(*(pc.unique(column).to_pylist() for column in labels)) - {None}), pa.string())
    views = []
    for flows, column in zip(arrays, labels, strict=True):
        classes = pc.index_in(column, value_set=names).fill_null(-1).to_numpy().astype(np.int64)
        if (classes < 0).any():
            flows, classes = flows.take(classes >= 0), classes[classes >= 0]
        views.append(FlowView(flows.head(max_packets), classes, len(names), max_packets))
    return names.to_pylist(), views
