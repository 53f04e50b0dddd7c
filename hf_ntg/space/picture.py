"""The packets of some flows as a picture."""

from __future__ import annotations

import numpy as np
from datasets import Dataset
from matplotlib.figure import Figure

from hf_ntg.flows.arrays import FlowArrays

__all__ = ["draw_flows"]

MOST_CLASSES = 6
FLOWS_EACH = 60


def draw_flows(flows: Dataset) -> Figure:
    """A panel a class: each flow a thin line of signed payload lengths over its packets.

    The classes with the most flows are drawn, up to six, and the first 60 flows of each.
    """
    arrays = FlowArrays.from_dataset(flows)
    names, classes, counts = np.unique(arrays.label.astype(str), return_inverse=True, return_counts=True)
    chosen = np.sort(np.argsort(-counts, kind="stable")[:MOST_CLASSES])
    columns = min(3, len(chosen))
    rows = -(-len(chosen) // columns)
    figure = Figure(figsize=(4 * columns, 2.4 * rows), layout="constrained")
    for place, own in enumerate(chosen):
        axes = figure.add_subplot(rows, columns, place + 1)
        one = arrays.take(np.flatnonzero(classes == own)[:FLOWS_EACH])
        for row in range(len(one)):
            span = slice(one.offsets[row], one.offsets[row + 1])
            axes.plot(
                np.arange(1, span.stop - span.start + 1), one.signed_length[span], color="#1d4e79", alpha=0.25, lw=0.8
            )
        axes.axhline(0, color="#bbbbbb", lw=0.6)
        axes.set_title(f"{names[own]} ({counts[own]})", fontsize=9)
        axes.set_xlabel("packet", fontsize=8)
        axes.set_ylabel("bytes", fontsize=8)
        axes.tick_params(labelsize=7)
    return figure
