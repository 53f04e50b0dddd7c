"""Plots of an evaluation report, drawn from the profiles that `evaluate_flows` keeps."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, PercentFormatter

__all__ = [
    "REAL",
    "STYLE",
    "add_legend",
    "class_scores",
    "length_curves",
    "packet_profiles",
    "position_divergence",
    "svg_of",
    "time_curves",
]

REAL, SYNTHETIC = "#1d4e79", "#e07b16"
_BASELINES = ("#9a9a9a", "#bdbdbd", "#6f6f6f", "#d0d0d0")
STYLE = {
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
    "svg.hashsalt": "hf_ntg",
}
_COLUMNS = 4


def packet_profiles(result: dict) -> str:
    """Length and direction at each packet position, one panel a class, real to the left and synthetic to the right.

    A bar's width is the share of the class's flows whose packet at that position has that length and direction.
    """
    profiles = result["profiles"]
    with _panels(profiles["classes"], 2.0) as (figure, panels):
        for name, axes in panels:
            for column, side, color in (("real", -1, REAL), ("synthetic", 1, SYNTHETIC)):
                if (shape := profiles["sets"][column].get(name)) is not None:
                    _split_bars(axes, shape, side, color)
            _length_axis(axes, profiles["length_edges"])
            axes.set_xlim(0.4, result["max_packets"] + 0.6)
            axes.set_xticks(range(1, result["max_packets"] + 1))
            axes.tick_params(axis="x", length=0)
            axes.grid(axis="x", color="#f0f0f0", linewidth=0.6)
            axes.set_axisbelow(True)
        _outer_labels(figure, "packet of the flow", "payload bytes, upstream above 0")
        return _png(figure)


def time_curves(result: dict) -> str | None:
    """Cumulative distribution of inter-arrival times, one panel a class; None where no set has times."""

    def style(axes: Axes) -> None:
        axes.set_xscale("log")
        axes.set_xlim(1e-6, 1e3)
        axes.set_xticks([1e-6, 1e-3, 1, 1e3], ["1 µs", "1 ms", "1 s", "1,000 s"])
        axes.xaxis.set_minor_locator(NullLocator())

    return _curves(result, "inter_arrival_time", "time since the flow's previous packet (logarithmic)", style)


def length_curves(result: dict) -> str | None:
    """Cumulative distribution of payload lengths, one panel a class."""

    def style(axes: Axes) -> None:
        axes.set_xscale("function", functions=(np.sqrt, np.square))
        axes.set_xlim(0, 1500)
        axes.set_xticks([0, 100, 500, 1000, 1460])

    return _curves(result, "payload_length", "payload of a packet, bytes (square-root scale)", style)


def class_scores(result: dict) -> str:
    """F1 of each class: a classifier taught by real flows, by synthetic ones, and by the last baseline."""
    columns = result["metrics"]["tstr"]["columns"]
    names = sorted(columns["real"]["per_class"], key=columns["real"]["per_class"].get)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.6, 0.9 + 0.21 * len(names)), layout="constrained")
        axes = figure.subplots()
        places = np.arange(len(names))
        scores = {name: [column["per_class"][label] for label in names] for name, column in columns.items()}
        axes.hlines(places, scores["real"], scores["synthetic"], color="#d8d8d8", linewidth=2.5, zorder=1)
        for name, color in _colors(result):
            mark = {"real": "o", "synthetic": "o"}.get(name, "|")
            axes.scatter(
                scores[name], places, s=34, color=color, marker=mark, label=name, zorder=3 if mark == "o" else 2
            )
        axes.set_yticks(places, names)
        axes.set_xlim(-0.02, 1.02)
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
        for name, color in _colors(result):
            axes.plot(places, columns[name]["per_position"], color=color, marker="o", markersize=3.5, label=name)
        axes.set_xticks(places)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("packet of the flow")
        axes.set_ylabel("bits")
        axes.grid(axis="y", color="#eeeeee", linewidth=0.8)
        add_legend(figure)
        return svg_of(figure)


def _curves(result: dict, quantity: str, label: str, style: Callable[[Axes], None]) -> str | None:
    profiles = result["profiles"]
    drawn = [name for name, _ in _colors(result) if name in ("real", "synthetic") or name.endswith("-gram")]
    classes = [name for name in profiles["classes"] if _quantiles(profiles, "real", name, quantity)]
    if not classes:
        return None
    shares = np.arange(101)
    with _panels(classes, 1.25) as (figure, panels):
        for name, axes in panels:
            for column, color in _colors(result):
                if column in drawn and (values := _quantiles(profiles, column, name, quantity)):
                    axes.step(values, shares, where="post", color=color, linewidth=1.3, label=column)
            style(axes)
            axes.set_ylim(0, 100)
            axes.set_yticks([0, 50, 100])
            axes.yaxis.set_major_formatter(PercentFormatter(decimals=0))
        _outer_labels(figure, label, "share of packets")
        add_legend(figure)
        return svg_of(figure)


def _quantiles(profiles: dict, column: str, name: str, quantity: str) -> list[float] | None:
    return profiles["sets"][column].get(name, {}).get(quantity)


def _colors(result: dict) -> Iterator[tuple[str, str]]:
    """Columns in drawing order, baselines first so that they lie beneath, with their colours."""
    baselines = [name for name in result["columns"] if name not in ("real", "synthetic")]
    for place, name in enumerate(baselines):
        yield name, _BASELINES[place % len(_BASELINES)]
    yield "real", REAL
    yield "synthetic", SYNTHETIC


@contextmanager
def _panels(names: list[str], height: float) -> Iterator[tuple[Figure, list[tuple[str, Axes]]]]:
    """A grid with a panel for each name; only panels at the left and the foot carry tick labels."""
    rows = -(-len(names) // _COLUMNS)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10.4, 0.7 + height * rows), layout="constrained")
        grid = figure.subplots(rows, _COLUMNS, squeeze=False, sharex=True, sharey=True).ravel()
        for axes in grid[len(names) :]:
            axes.set_axis_off()
        for name, axes in zip(names, grid, strict=False):
            axes.set_title(name, loc="left", fontsize=8, fontweight="bold")
        for axes in grid[max(len(names) - _COLUMNS, 0) : len(names)]:
            axes.xaxis.set_tick_params(labelbottom=True)
        yield figure, list(zip(names, grid, strict=False))


def _split_bars(axes: Axes, shape: dict, side: int, color: str) -> None:
    """Horizontal bars from each position's middle to one side: upstream lengths above 0, downstream below."""
    for direction, key in ((1, "upstream"), (-1, "downstream")):
        shares = np.array(shape[key])  # (positions, bins)
        position, length = np.nonzero(shares)
        axes.barh(
            direction * (length + 0.55),
            side * 0.47 * shares[position, length],
            height=0.9,
            left=position + 1 + side * 0.015,
            color=color,
            linewidth=0,
        )


def _length_axis(axes: Axes, edges: list[float]) -> None:
    marks = np.array([100, 500, 1460])
    places = 1 + (len(edges) - 1) * np.sqrt(marks / 1460)
    axes.set_yticks([*-places[::-1], 0, *places], [f"{mark:,}" for mark in [*marks[::-1], 0, *marks]])
    axes.set_ylim(-len(edges) - 1.4, len(edges) + 1.4)
    axes.axhline(0, color="#bbbbbb", linewidth=0.6)
    axes.tick_params(axis="y", length=2)


def _outer_labels(figure: Figure, x: str, y: str) -> None:
    figure.supxlabel(x, fontsize=8, color="#444444")
    figure.supylabel(y, fontsize=8, color="#444444")


def add_legend(figure: Figure, columns: int = 7) -> None:
    """One legend above the panels: real and synthetic flows first, then the others as they were drawn."""
    found: dict[str, Artist] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    order = sorted(found, key=lambda label: label not in ("real", "synthetic"))
    handles = [found[label] for label in order]
    figure.legend(handles, order, loc="outside upper left", ncols=min(len(order), columns), frameon=False)


def _png(figure: Figure) -> str:
    """The figure as a data URI."""
    held = io.BytesIO()
    figure.savefig(held, format="png", dpi=170)
    return "data:image/png;base64," + base64.b64encode(held.getvalue()).decode("ascii")


def svg_of(figure: Figure) -> str:
    """The figure as an SVG element."""
    held = io.StringIO()
    figure.savefig(held, format="svg", metadata={"Date": None, "Creator": None})
    text = held.getvalue()
    return text[text.index("<svg") :]
