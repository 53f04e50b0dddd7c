"""Draws: what the page answers to one request, kept for a while so that the same request is answered at once."""

from __future__ import annotations

import base64
import io
import tempfile
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays, as_arrays
from hf_ntg.generation import FlowGenerator
from hf_ntg.report import plot_flows
from hf_ntg.report.plots import STYLE
from hf_ntg.space.upload import read_upload
from hf_ntg.space.visit import CaptureSettings, RealFlows, as_rows, copies_in_words, make_flows, pack

__all__ = ["Answer", "Draws", "Request"]

MOST_CLASSES = 12  # that are plotted
_PIXELS_PER_INCH = 72  # least width of a plot on the page
_KEPT = 32  # answers


@dataclass(frozen=True)
class Request:
    """What a visitor asks for.

    Attributes:
        model: its name. labels, num_flows, seed, options: see :func:`hf_ntg.space.visit.make_flows`.
        capture: of the download. upload: path of the visitor's own flows to compare with, or None.
    """

    model: str
    labels: tuple[str, ...]
    num_flows: float
    seed: float
    options: tuple[tuple[str, Any], ...] = ()
    capture: CaptureSettings = field(default_factory=CaptureSettings)
    upload: str | None = None


@dataclass(frozen=True)
class Answer:
    """What the page shows: status, plots (HTML), rows of the table, and the path of the ZIP file."""

    status: str
    packets: str
    times: str
    rows: list[list]
    archive: str


class Draws:
    """Answers requests with the `models`, by name, next to the real flows of each."""

    def __init__(self, models: dict[str, tuple[FlowGenerator, RealFlows | None]]) -> None:
        self.models = models
        self._kept: OrderedDict[Request, tuple[Answer, tempfile.TemporaryDirectory]] = OrderedDict()

    def answer(self, request: Request) -> Answer:
        """The answer to `request`.

        Raises:
            InputError: a field of the page cannot be used; the message names it.
        """
        if request in self._kept:
            self._kept.move_to_end(request)
            return self._kept[request][0]
        begun = time.perf_counter()
        generator, real = self.models[request.model]
        flows = make_flows(generator, request.labels, request.num_flows, request.seed, dict(request.options))
        seconds = time.perf_counter() - begun
        shown = _named(as_arrays(flows, "synthetic flows"))
        classes = sorted(set(shown.label))[:MOST_CLASSES]
        compared, source = _compared(request, real, classes)
        # A folder of its own for each answer: visitors never get each other's files.
        folder = tempfile.TemporaryDirectory(prefix="ntg-demo-")
        archive = pack(flows, Path(folder.name), int(request.seed), request.capture)
        words = f"{len(flows):,} flows drawn in {seconds:.1f} s. {copies_in_words(flows, real)} {source}"
        answer = Answer(
            f'<p class="answer" role="status" aria-live="polite">{escape(words)}</p>',
            _plot(compared, shown, "packets", classes),
            _plot(compared, shown, "times", classes),
            as_rows(flows),
            str(archive),
        )
        if request.upload is None:  # an upload is the visitor's own; nothing made from it is kept for others
            self._keep(request, answer, folder)
        else:
            self._upload_folder = folder  # until the next upload, since Gradio copies the file after this call
        return answer

    def _keep(self, request: Request, answer: Answer, folder: tempfile.TemporaryDirectory) -> None:
        self._kept[request] = (answer, folder)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)[1][1].cleanup()


def _compared(request: Request, real: RealFlows | None, classes: Sequence[str]) -> tuple[FlowArrays | None, str]:
    """The real flows to plot next to the synthetic ones, and where they are from."""
    if request.upload is not None:
        uploaded = read_upload(request.upload, classes)
        return uploaded, f"Blue: {len(uploaded):,} flows that you uploaded."
    if real is None:
        return None, "No real flows are at hand to compare with; upload yours under 'More settings'."
    held_out = _named(real.test)
    known = set(held_out.label) & set(classes)
    return (held_out, "Blue: real held-out flows.") if known else (None, "No real flow of these classes is at hand.")


def _named(flows: FlowArrays) -> FlowArrays:
    """The flows with a name for the class without one, to plot."""
    return replace(flows, label=np.array(["(no label)" if one is None else one for one in flows.label], dtype=object))


def _plot(real: FlowArrays | None, flows: FlowArrays, what: Any, classes: list[str]) -> str:
    """The plot as HTML, with a text in place of the picture for those who do not see it."""
    try:
        figure = plot_flows(real, flows, what, classes=classes)
    except InputError:
        if what == "packets":
            raise
        return "<p>These flows have no inter-arrival times.</p>"
    sides = "synthetic flows (orange)" if real is None else "real flows (blue) and synthetic flows (orange)"
    name, shown = {
        "packets": ("Plot of packets", f"Payload length and direction at each packet position, {sides}"),
        "times": ("Plot of times", f"Share of packets up to each inter-arrival time, {sides}"),
    }[what]
    text = f"{shown}, one panel for each of these classes: {', '.join(classes)}"
    # Letters stay readable on a phone: the figure scrolls where it is wider than the page.
    width = round(_PIXELS_PER_INCH * figure.get_figwidth())
    return (
        f'<figure class="plot" tabindex="0" role="group" aria-label="{name}">'
        f'<img alt="{escape(text)}" style="min-width: {width}px" src="{_png(figure)}"></figure>'
    )


def _png(figure: Figure) -> str:
    held = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(held, format="png", dpi=130, transparent=True)
    return "data:image/png;base64," + base64.b64encode(held.getvalue()).decode("ascii")
