"""plot_flows: real and synthetic flows in one matplotlib figure."""

from __future__ import annotations

from typing import Literal

import numpy as np
from datasets import Dataset
from matplotlib.figure import Figure

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays, as_arrays
from hf_ntg.flows.view import in_one_view
from hf_ntg.metrics.profile import describe_flows
from hf_ntg.report.plots import draw_lengths, draw_packets, draw_times

__all__ = ["plot_flows"]

MAX_CLASSES = 12


def plot_flows(
    real: Dataset | FlowArrays | None = None,
    synthetic: Dataset | FlowArrays | None = None,
    what: Literal["packets", "times", "lengths"] = "packets",
    *,
    max_packets: int = 10,
    classes: list[str] | None = None,
) -> Figure:
    """Plot flows class by class: real ones in blue, synthetic ones in orange.

    Both are put into one packet view first: that of the synthetic flows. Save the figure with
    ``figure.savefig("flows.pdf")``.

    Args:
        real, synthetic: labelled flows; one of them may be left out.
        what: ``packets`` shows length and direction at each packet position. ``times`` and ``lengths`` show cumulative
            distributions of inter-arrival times (seconds) and payload lengths (bytes).
        max_packets: first packets of each flow to show.
        classes: the classes to show; the 12 with the most flows when None.

    Raises:
        InputError: no flows are given, they have no label or no times, or a class has no flow.
    """
    given = {"real": real, "synthetic": synthetic}
    tables = {name: as_arrays(flows, f"{name} flows") for name, flows in given.items() if flows is not None}
    if not tables:
        raise InputError("plot_flows: give real flows, synthetic flows or both")
    seen, _, _ = in_one_view(tables)
    sets = {name: _of_classes(flows, classes, name).head(max_packets) for name, flows in seen.items()}
    profiles = describe_flows(dict(sets), max_packets, len(classes) if classes else MAX_CLASSES)
    if what == "packets":
        return draw_packets(profiles, max_packets)
    if what not in ("times", "lengths"):
        raise InputError(f"plot_flows: no plot of {what!r}; choose packets, times or lengths")
    figure = (draw_times if what == "times" else draw_lengths)(profiles, list(sets))
    if figure is None:
        raise InputError("plot_flows: these flows have no inter-arrival times")
    return figure


def _of_classes(flows: FlowArrays, classes: list[str] | None, name: str) -> FlowArrays:
    """The labelled flows of `classes`, of all classes when None."""
    known = set(flows.label) - {None} if classes is None else set(classes)
    kept = np.array([label in known for label in flows.label], dtype=bool)
    if not kept.any():
        raise InputError(f"{name} flows: none {'has a label' if classes is None else 'is of the classes to plot'}")
    return flows.take(kept)
