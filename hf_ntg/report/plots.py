"""Plots of an evaluation report, drawn from the profiles that `evaluate_flows` keeps."""

from __future__ import annotations

import base64
import io
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import NullLocator, PercentFormatter

__all__ = [
    "REAL",
    "STYLE",
    "SYNTHETIC",
    "add_legend",
    "caption_of",
    "class_scores",
    "draw_lengths",
    "draw_packets",
    "draw_times",
    "leave_out_baselines",
    "png_of",
    "position_divergence",
    "save_figure",
    "svg_of",
]

REAL, SYNTHETIC = "#1d4e79", "#e07b16"
_MAIN = ("real", "synthetic")
_BASELINES = ("#9a9a9a", "#bdbdbd", "#6f6f6f", "#d0d0d0")
STYLE: Any = {  # matplotlib's type lists every setting by name
    "font.family": "sans-serif",
    "font.size": 8,
    "text.color": "#222222",
    "axes.labelcolor": "#444444",
    "axes.edgecolor": "#bbbbbb",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": "#666666",
    "ytick.color": "#666666",
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "svg.fonttype": "none",
    "text.parse_math": False,  # a class may be called "$x"
    "text.usetex": False,
    "svg.hashsalt": "hf_ntg",
}
_COLUMNS = 4
_LEAST_WIDTH = 3.6  # inches of a figure with one panel
_LINE, _TOP, _RIGHT = 0.13, 0.48, 0.13  # inches: a line of a label; the margins for legend and titles, and on the right
_GAPS = 0.2, 0.3  # inches between panels side by side, and one above the other
_LETTERS_PER_INCH = 14  # of the font size of axis labels, at least
_LONGEST_CAPTION = 60
_JOINERS = "\u200c\u200d"  # invisible, but part of words and emoji


def draw_packets(profiles: dict, max_packets: int) -> Figure:
    """Length and direction at each packet position, one panel a class: real flows to the left, synthetic to the right.

    The width of a bar is the share of the class's flows whose packet at that position has that length and direction.

    Args:
        profiles: of :func:`hf_ntg.metrics.profile.describe_flows`, with the set ``real``, ``synthetic`` or both.
        max_packets: positions to show.
    """
    with _panels(profiles["classes"], 2.0) as (figure, panels):
        shared = panels[0][1]  # limits and ticks are those of all panels
        _length_axis(shared, profiles["length_edges"])
        shared.set_xlim(0.4, max_packets + 0.6)
        shared.set_xticks(range(1, max_packets + 1))
        for name, axes in panels:
            for column, side, color in (("real", -1, REAL), ("synthetic", 1, SYNTHETIC)):
                if (shape := profiles["sets"].get(column, {}).get(name)) is not None:
                    _split_bars(axes, shape, side, color)
            axes.axhline(0, color="#bbbbbb", linewidth=0.6)
            axes.tick_params(axis="x", length=0)
            axes.tick_params(axis="y", length=2)
            axes.grid(axis="x", color="#f0f0f0", linewidth=0.6)
            axes.set_axisbelow(True)
        _outer_labels(figure, "packet of the flow", "payload bytes (square-root scale), upstream above 0")
        handles: list[Artist] = [
            Patch(color=color, label=column)
            for column, color in (("real", REAL), ("synthetic", SYNTHETIC))
            if column in profiles["sets"]
        ]
        figure.legend(handles=handles, loc="outside upper left", ncols=2, frameon=False)
        return figure


def draw_times(profiles: dict, columns: Sequence[str]) -> Figure | None:
    """Cumulative distribution of inter-arrival times, one panel a class; None where the flows have no times.

    Args:
        profiles: of :func:`hf_ntg.metrics.profile.describe_flows`. columns: the sets to draw.
    """

    def style(axes: Axes) -> None:
        axes.set_xscale("log")
        axes.set_xlim(1e-6, 1e3)
        axes.set_xticks([1e-6, 1e-3, 1, 1e3], ["1 µs", "1 ms", "1 s", "1,000 s"])
        axes.xaxis.set_minor_locator(NullLocator())

    label = "time since the flow's previous packet (logarithmic scale)"
    return _draw_curves(profiles, columns, "inter_arrival_time", label, style)


def draw_lengths(profiles: dict, columns: Sequence[str]) -> Figure | None:
    """Cumulative distribution of payload lengths, one panel a class; arguments as for :func:`draw_times`."""

    def style(axes: Axes) -> None:
        axes.set_xscale("function", functions=(np.sqrt, np.square))
        axes.set_xlim(0, 1500)
        axes.set_xticks([0, 100, 500, 1000, 1460])

    return _draw_curves(profiles, columns, "payload_length", "payload of a packet, bytes (square-root scale)", style)


def class_scores(result: dict) -> str:
    """F1 of each class, for classifiers trained on real flows, on synthetic ones, and on those of the last baseline."""
    columns = result["metrics"]["tstr"]["columns"]
    names = sorted(columns["real"]["per_class"], key=columns["real"]["per_class"].get)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.6, 0.9 + 0.21 * len(names)), layout="constrained")
        axes = figure.subplots()
        places = np.arange(len(names))
        scores = {name: [column["per_class"][label] for label in names] for name, column in columns.items()}
        axes.hlines(places, scores["real"], scores["synthetic"], color="#d8d8d8", linewidth=2.5, zorder=1)
        for name, color in _colors(result["columns"]):
            mark = {"real": "o", "synthetic": "o"}.get(name, "|")
            axes.scatter(
                scores[name], places, s=34, color=color, marker=mark, label=name, zorder=3 if mark == "o" else 2
            )
        axes.set_yticks(places, list(map(caption_of, names)))
        lowest = min(map(min, scores.values()))
        axes.set_xlim(max(np.floor(10 * lowest) / 10, 0) - 0.02, 1.02)
        axes.set_xlabel("F1 on real test flows")
        axes.grid(axis="x", color="#eeeeee", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        add_legend(figure)
        return svg_of(figure)


def position_divergence(result: dict) -> str:
    """Jensen-Shannon divergence at each packet position, mean over classes."""
    columns = result["metrics"]["flow_jsd"]["columns"]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.6, 2.5), layout="constrained")
        axes = figure.subplots()
        places = np.arange(1, result["max_packets"] + 1)
        for name, color in _colors(result["columns"]):
            axes.plot(places, columns[name]["per_position"], color=color, marker="o", markersize=3.5, label=name)
        axes.set_xticks(places)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("packet of the flow")
        axes.set_ylabel("bits")
        axes.grid(axis="y", color="#eeeeee", linewidth=0.8)
        add_legend(figure)
        return svg_of(figure)


def _draw_curves(
    profiles: dict, columns: Sequence[str], quantity: str, label: str, style: Callable[[Axes], None]
) -> Figure | None:
    """Cumulative distributions of a `quantity`, one panel a class; None if no set has it."""
    drawn = [(name, color) for name, color in _colors(columns) if name in _MAIN or name.endswith("-gram")]
    classes = [
        name
        for name in profiles["classes"]
        if any(_quantiles(profiles, column, name, quantity) for column, _ in drawn if column in _MAIN)
    ]
    if not classes:
        return None
    shares = np.arange(101)
    with _panels(classes, 1.25) as (figure, panels):
        shared = panels[0][1]  # limits and ticks are those of all panels
        style(shared)
        shared.set_ylim(0, 100)
        shared.set_yticks([0, 50, 100])
        shared.yaxis.set_major_formatter(PercentFormatter(decimals=0))
        for name, axes in panels:
            for column, color in drawn:
                if values := _quantiles(profiles, column, name, quantity):
                    axes.step(values, shares, where="post", color=color, linewidth=1.3, label=column)
        _outer_labels(figure, label, "share of packets")
        add_legend(figure)
        return figure


def _quantiles(profiles: dict, column: str, name: str, quantity: str) -> list[float] | None:
    return profiles["sets"].get(column, {}).get(name, {}).get(quantity)


def _colors(columns: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The sets in drawing order, baselines first so that they are at the back, with their colours."""
    for place, name in enumerate(name for name in columns if name not in _MAIN):
        yield name, _BASELINES[place % len(_BASELINES)]
    yield from ((name, color) for name, color in zip(_MAIN, (REAL, SYNTHETIC), strict=True) if name in columns)


@contextmanager
def _panels(names: list[str], height: float) -> Iterator[tuple[Figure, list[tuple[str, Axes]]]]:
    """A grid with a panel for each name; only panels at the left and the bottom have tick labels.

    :func:`_outer_labels` gives the panels their places.
    """
    columns = min(_COLUMNS, len(names))
    rows = -(-len(names) // columns)
    with mpl.rc_context(STYLE):
        size = max(2.6 * columns, _LEAST_WIDTH), 0.7 + height * rows
        figure = Figure(figsize=size)
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
        for axes in grid[len(names) :]:
            axes.set_axis_off()
        for name, axes in zip(names, grid, strict=False):
            # matplotlib would look for their places again each time, and measure all tick labels for it.
            axes.set_title(caption_of(name), loc="left", fontsize=8, fontweight="bold", y=1.0)
            axes.xaxis.set_label_coords(0.5, 0)
            axes.yaxis.set_label_coords(0, 0.5)
        for axes in grid[max(len(names) - columns, 0) : len(names)]:
            axes.xaxis.set_tick_params(labelbottom=True)
        yield figure, list(zip(names, grid, strict=False))


def _split_bars(axes: Axes, shape: dict, side: int, color: str) -> None:
    """Horizontal bars from each position's middle to one side: upstream lengths above 0, downstream below."""
    for direction, key in ((1, "upstream"), (-1, "downstream")):
        shares = np.array(shape[key])  # (positions, bins)
        position, length = np.nonzero(shares)
        inner, middle = position + 1 + side * 0.015, direction * (length + 0.55)
        outer = inner + side * 0.47 * shares[position, length]
        corners = [(inner, middle - 0.45), (inner, middle + 0.45), (outer, middle + 0.45), (outer, middle - 0.45)]
        bars = np.stack([np.stack(corner, axis=1) for corner in corners], axis=1)  # (bars, 4, 2)
        axes.add_collection(PolyCollection(list(bars), facecolors=color, linewidths=0), autolim=False)


def _length_axis(axes: Axes, edges: list[float]) -> None:
    marks = np.array([100, 500, 1460])
    places = 1 + (len(edges) - 1) * np.sqrt(marks / 1460)
    axes.set_yticks([*-places[::-1], 0, *places], [f"{mark:,}" for mark in [*marks[::-1], 0, *marks]])
    axes.set_ylim(-len(edges) - 1.4, len(edges) + 1.4)


def _outer_labels(figure: Figure, x: str, y: str) -> None:
    """Labels of the figure's sides, on as many lines as they need, and the places of the panels between them.

    The places are known, since all panels have one size and tick labels of one width. Matplotlib's layout engines
    would measure every tick label of every panel each time the figure is saved, which takes a third of all drawing.
    """
    wide, high = figure.get_size_inches()
    x, y = (textwrap.fill(text, max(round(side * _LETTERS_PER_INCH), 10)) for text, side in ((x, wide), (y, high)))
    left, bottom = (0.6 + _LINE * y.count("\n"), 0.44 + _LINE * x.count("\n"))
    spec = figure.axes[0].get_subplotspec()
    assert spec is not None  # a panel of a grid
    rows, columns = spec.get_gridspec().get_geometry()
    across, down = (
        (whole - sum(margins) - gap * (count - 1)) / count
        for whole, margins, gap, count in (
            (wide, (left, _RIGHT), _GAPS[0], columns),
            (high, (bottom, _TOP), _GAPS[1], rows),
        )
    )
    figure.subplots_adjust(
        left=left / wide,
        right=1 - _RIGHT / wide,
        bottom=bottom / high,
        top=1 - _TOP / high,
        wspace=_GAPS[0] / across,
        hspace=_GAPS[1] / down,
    )
    figure.supxlabel(x, y=0.04 / high, fontsize=8, color="#444444", va="bottom")
    figure.supylabel(y, x=0.04 / wide, fontsize=8, color="#444444", ha="left")


def caption_of(name: str) -> str:
    """The name of a class as figures show it: at most 60 characters, with ``\\x00`` in place of unprintable ones.

    An SVG file with control characters is not well-formed, and long names make the layout slow.
    """
    short = name if len(name) <= _LONGEST_CAPTION else f"{name[: _LONGEST_CAPTION - 1]}…"
    return "".join(
        letter if letter.isprintable() or letter in _JOINERS else letter.encode("unicode_escape").decode()
        for letter in short
    )


def add_legend(figure: Figure, columns: int = 7) -> None:
    """One legend above the panels: real and synthetic flows first, then the others as they were drawn."""
    found: dict[str, Artist] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    order = sorted(found, key=lambda label: label not in _MAIN)
    handles = [found[label] for label in order]
    figure.legend(handles, order, loc="outside upper left", ncols=min(len(order), columns), frameon=False)


def leave_out_baselines(figure: Figure) -> None:
    """Remove the curves of :func:`draw_times` or :func:`draw_lengths` that belong to no real or synthetic flows."""
    for axes in figure.axes:
        for line in [line for line in axes.lines if line.get_label() not in _MAIN]:
            line.remove()
    for legend in figure.legends:
        legend.remove()
    with mpl.rc_context(STYLE):
        add_legend(figure)


def save_figure(figure: Figure, path: Path, kind: Literal["png", "pdf", "svg"] = "png") -> None:
    """Write the figure as a `kind` of file. The same figure gives the same bytes."""
    dates: dict[str, Any] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}
    with mpl.rc_context(STYLE):
        figure.savefig(path, format=kind, dpi=200, metadata=dates.get(kind))


def png_of(figure: Figure) -> str:
    """The figure as a data URI, on a transparent ground."""
    held = io.BytesIO()
    figure.savefig(held, format="png", dpi=170, transparent=True)
    return "data:image/png;base64," + base64.b64encode(held.getvalue()).decode("ascii")


def svg_of(figure: Figure) -> str:
    """The figure as an SVG element."""
    held = io.StringIO()
    with mpl.rc_context(STYLE):  # its salt makes the ids of elements the same every time
        figure.savefig(held, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    text = held.getvalue()
    return text[text.index("<svg") :]
