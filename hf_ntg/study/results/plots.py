"""Plots of a study's scores. Each generator has the same colour in all of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from hf_ntg.report.plots import REAL as REAL_COLOR
from hf_ntg.report.plots import STYLE, add_legend, caption_of, svg_of
from hf_ntg.study.plan import ALL_REAL, NONE, REAL, STRICT, model_order
from hf_ntg.study.results.summary import Score

__all__ = [
    "by_place",
    "color_of",
    "confusions",
    "frontier",
    "gap_bars",
    "length_curves",
    "panels",
    "shot_curves",
    "step_curves",
]

_COLORS = {
    "gpt2": "#e07b16",
    "llama": "#b3432b",
    "mamba": "#7a5195",
    "unet": "#2a8c82",
    "cvae": "#5c8f2f",
    "smote": "#b8a21f",
    "auto": "#22577a",
    "crossover": "#3a86c8",
    "loss": "#8b6f5a",
    "jitter": "#c98bb4",
    "guessed-labels": "#22577a",
    "private-n-gram": "#22577a",
    "replay": "#bdbdbd",
    "independent": "#d5d5d5",
}
_GRAMS = ("#6f6f6f", "#9a9a9a", "#4f4f4f")
_SCHEDULERS = ("#e07b16", "#b3432b", "#7a5195", "#2a8c82", "#5c8f2f", "#3a86c8")
_SHADED = "#6f6f6f"
_WIDTH = 10.4


def frontier(scores: Sequence[Score]) -> str | None:
    """Excess of once-seen copies against divergence, with one panel for each table and split."""
    points = by_place(scores, axis="fidelity")
    points = {
        place: own
        for place, own in points.items()
        if {"flow_jsd", "once_seen_copies"} <= {score.place["measure"] for score in own}
    }

    def draw(axes: Axes, own: dict[tuple, Score]) -> None:
        for model in _models(own):
            x, y = own.get((model, "flow_jsd")), own.get((model, "once_seen_copies"))
            if x is None or y is None:
                continue
            mark = "*" if model == REAL else "o"
            axes.errorbar(
                x.mean,
                y.mean,
                xerr=x.half_width,
                yerr=y.half_width,
                fmt=mark,
                markersize=9 if model == REAL else 5.5,
                color=color_of(model),
                linewidth=0.8,
                label=model,
            )
        axes.set_xlim(0, 1.06 * axes.get_xlim()[1])
        axes.set_xlabel("divergence from test flows, bits")
        axes.set_ylabel("once-seen copies above real, points")

    return panels(points, ("model", "measure"), draw)


def gap_bars(scores: Sequence[Score], classifier: str = "random_forest") -> str | None:
    """Points of macro-F1 below training on real flows, by generator and number of synthetic flows."""
    made = [score for score in scores if score.place["model"] != REAL]
    points = by_place(made, axis="synthetic-only", measure="gap_points", classifier=classifier)

    def draw(axes: Axes, own: dict[tuple, Score]) -> None:
        models, times = _models(own), sorted({size for _, size in own})
        high = 0.8 / len(times)
        for place, size in enumerate(times):
            found = [(k, own[model, size]) for k, model in enumerate(models) if (model, size) in own]
            axes.barh(
                [k + (place - (len(times) - 1) / 2) * high for k, _ in found],
                [score.mean for _, score in found],
                height=high * 0.9,
                xerr=[score.half_width or 0 for _, score in found] if any(f.half_width for _, f in found) else None,
                error_kw={"linewidth": 0.7, "ecolor": "#444444"},
                color=[color_of(models[k]) for k, _ in found],
                alpha=_shade(place, len(times)),
            )
        axes.set_yticks(range(len(models)), models)
        axes.invert_yaxis()
        axes.axvline(0, color=REAL_COLOR, linewidth=1)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("points below real flows")
        for place, size in enumerate(times):  # bars of no length, for the legend
            axes.barh([0], [0], color=_SHADED, alpha=_shade(place, len(times)), label=f"{size}× as many flows")

    return panels(points, ("model", "times"), draw, height=3.0)


def _shade(place: int, count: int) -> float:
    """Opacity of the bar at a `place` among `count`: the more synthetic flows, the darker."""
    return (place + 1.5) / (count + 0.5)


def shot_curves(scores: Sequence[Score], protocol: str = STRICT, classifier: str = "random_forest") -> str | None:
    """Macro-F1 against real flows per class for one protocol, the few flows alone, and all real flows."""
    wanted = {"axis": "augmentation", "measure": f"{classifier}.macro_f1"}
    points = by_place(
        [score for score in scores if score.place.get("protocol") in (protocol, NONE)],
        **wanted,
    )
    if not any(score.place["protocol"] == protocol for own in points.values() for score in own):
        return None

    def draw(axes: Axes, own: dict[tuple, Score]) -> None:
        for model in _models(own):
            shots = sorted(k for name, k in own if name == model and k != "all")
            if model == ALL_REAL:
                axes.axhline(
                    own[model, "all"].mean, color=REAL_COLOR, linewidth=1, linestyle="--", label="all real flows"
                )
                continue
            line = [own[model, k] for k in shots]
            means = np.array([score.mean for score in line])
            half = np.array([score.half_width or 0 for score in line])
            label, color = ("few real flows alone", REAL_COLOR) if model == NONE else (model, color_of(model))
            axes.plot(shots, means, color=color, marker="o", markersize=3, linewidth=1.3, label=label)
            axes.fill_between(shots, means - half, means + half, color=color, alpha=0.12, linewidth=0)
        axes.set_xscale("log")
        ticks = sorted({k for _, k in own if k != "all"})
        axes.set_xticks(ticks, map(str, ticks))
        axes.minorticks_off()
        axes.set_xlabel("real flows per class (log scale)")
        axes.set_ylabel("macro-F1")

    return panels(points, ("model", "shots"), draw)


def length_curves(scores: Sequence[Score]) -> str | None:
    """Divergence, macro-F1, copies and both attacks against the length of training; None if there are no scores."""
    measures = {
        "flow_jsd": "divergence, bits",
        "macro_f1": "macro-F1 of a classifier",
        "once_seen_copies": "once-seen copies above real, points",
        "membership_inference": "attack by distance, AUC",
        "likelihood_membership": "attack by likelihood, AUC",
    }
    own = [score for score in scores if score.place["axis"] == "training-length"]
    shown = [name for name in measures if any(score.place["measure"] == name for score in own)]
    if not shown:
        return None
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(_WIDTH, 2.6), layout="constrained")
        for axes, measure in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
            lines: dict[tuple, list[Score]] = {}
            for score in own:
                if score.place["measure"] == measure:
                    lines.setdefault(tuple(score.place[name] for name in ("flows", "by", "model")), []).append(score)
            places = list(dict.fromkeys((flows, by) for flows, by, _ in lines))
            for (flows, by, model), line in lines.items():
                line.sort(key=lambda score: score.place["budget"])
                axes.plot(
                    [score.place["budget"] for score in line],
                    [score.mean for score in line],
                    color=color_of(model),
                    linestyle=("-", "--", ":", "-.")[places.index((flows, by)) % 4],
                    marker="o",
                    markersize=3,
                    label=f"{model}, {flows}, split by {by}",
                )
            ticks = sorted({score.place["budget"] for score in own})
            axes.set_xscale("log")
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axes.minorticks_off()
            axes.set_xlabel("length of training, × recipe (log scale)")
            axes.set_title(measures[measure], loc="left", fontsize=8, fontweight="bold")
            axes.grid(color="#eeeeee", linewidth=0.6)
            axes.set_axisbelow(True)
        add_legend(figure, columns=4)
        return svg_of(figure)


def step_curves(scores: Sequence[Score]) -> str | None:
    """Macro-F1 of a classifier trained on a diffusion model's flows against denoising steps, by scheduler."""
    points = by_place(scores, axis="sampling", measure="macro_f1")
    schedulers = sorted({score.place["scheduler"] for own in points.values() for score in own})
    colors = {name: _SCHEDULERS[place % len(_SCHEDULERS)] for place, name in enumerate(schedulers)}
    tried = sorted({score.place["steps"] for own in points.values() for score in own})

    def draw(axes: Axes, own: dict[tuple, Score]) -> None:
        for scheduler in sorted({name for name, _ in own}):
            steps = sorted(count for name, count in own if name == scheduler)
            line = [own[scheduler, count] for count in steps]
            axes.errorbar(
                steps,
                [score.mean for score in line],
                yerr=[score.half_width or 0 for score in line],
                color=colors[scheduler],
                marker="o",
                markersize=3,
                linewidth=1.2,
                elinewidth=0.6,
                label=scheduler,
            )
        axes.set_xscale("log")
        axes.set_xticks(tried, _apart(tried))
        axes.minorticks_off()
        axes.set_xlabel("denoising steps (log scale)")
        axes.set_ylabel("macro-F1")

    return panels(points, ("scheduler", "steps"), draw)


def confusions(rows: Sequence[dict], learned: Sequence[str], classifier: str = "random_forest") -> dict[str, str]:
    """For each table and split, two confusion matrices: trained on real flows, and on those of one `learned` generator.

    Rows are the true classes, and cells are shares of their test flows. The plot shows the first of `learned` that has
    results, with the most synthetic flows, for the first seed. It is not the best one on the test flows.

    Returns:
        The plot of each flow table and split, by their names.
    """
    own = [row for row in rows if row["axis"] == "synthetic-only" and row["classifier"] == classifier]
    drawn = {}
    for flows, by in dict.fromkeys((row["flows"], row["by"]) for row in own):
        here = [row for row in own if (row["flows"], row["by"]) == (flows, by)]
        here = [row for row in here if row["seed"] == min(other["seed"] for other in here)]
        real = [row for row in here if row["model"] == REAL]
        made = [row for row in here if row["model"] in learned]
        if not real or not made:
            continue
        shown = max(made, key=lambda row: (row["times"], -learned.index(row["model"])))
        place = f"{flows}, split by {by}"
        drawn[place] = _confusion_pair(place, real[0], shown)
    return drawn


def _confusion_pair(title: str, real: dict, made: dict) -> str:
    """Draw the two confusion matrices of one table and split."""
    names = sorted(
        {name for row in (real, made) for true, said, _ in row["details"]["confusion"] for name in (true, said)}
    )
    place = {name: k for k, name in enumerate(names)}
    captions = list(map(caption_of, names))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(_WIDTH, 1.2 + 0.15 * len(names)), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        for axes, row in zip(panels, (real, made), strict=True):
            counts = np.zeros((len(names), len(names)))
            for true, said, flows in row["details"]["confusion"]:
                counts[place[true], place[said]] = flows
            shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
            shown = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
            axes.set_xticks(range(len(names)), captions, rotation=90, fontsize=6)
            axes.set_yticks(range(len(names)), captions, fontsize=6)
            source = "real flows" if row is real else f"{row['times']}× flows of {row['model']}"
            axes.set_title(f"{caption_of(title)}: trained on {source}", loc="left", fontsize=8, fontweight="bold")
            axes.set_xlabel("predicted class")
        panels[0].set_ylabel("true class")
        scale = figure.colorbar(shown, ax=panels, shrink=0.6, pad=0.01, aspect=30)
        scale.set_label("share of the true class's test flows", fontsize=7)
        scale.ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        scale.outline.set_visible(False)
        return svg_of(figure)


def color_of(model: str) -> str:
    """The colour of a generator on every plot."""
    if model == REAL:
        return REAL_COLOR
    if model == "tuned-n-gram":
        return "#2f2f2f"
    if re.fullmatch(r"[0-9]-gram", model):
        return _GRAMS[int(model[0]) % len(_GRAMS)]
    return _COLORS.get(model, "#333333")


def by_place(scores: Sequence[Score], **wanted: object) -> dict[tuple[str, str], list[Score]]:
    """Scores with the wanted places, grouped by table and split."""
    found: dict[tuple[str, str], list[Score]] = {}
    for score in scores:
        if all(score.place.get(name) == value for name, value in wanted.items()):
            found.setdefault((score.place["flows"], score.place["by"]), []).append(score)
    return found


def _apart(values: Sequence[float]) -> list[str]:
    """Labels for ticks on a logarithmic axis; those too near to the one before are left empty."""
    labels: list[str] = []
    last = 0.0
    for value in values:
        far = value >= 1.45 * last
        labels.append(f"{value:,g}" if far else "")
        last = value if far else last
    return labels


def _models(own: dict[tuple, Score]) -> list[str]:
    return sorted(dict.fromkeys(key[0] for key in own), key=model_order)


def panels(
    points: dict[tuple[str, str], list[Score]],
    key: tuple[str, ...],
    draw: Callable[[Axes, dict[tuple, Score]], None],
    legend: bool = True,
    height: float = 2.9,
) -> str | None:
    """One panel for each table and split; None if there is nothing to draw."""
    if not points:
        return None
    columns = 2 if len(points) in (2, 4) else min(3, len(points))
    rows = -(-len(points) // columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(_WIDTH * max(columns, 2) / 3, 0.4 + height * rows), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes in grid[len(points) :]:
            axes.set_axis_off()
        for axes, ((flows, by), own) in zip(grid, points.items(), strict=False):
            draw(axes, {tuple(score.place[name] for name in key): score for score in own})
            axes.set_title(caption_of(f"{flows}, split by {by}"), loc="left", fontsize=8, fontweight="bold")
            axes.grid(color="#eeeeee", linewidth=0.6)
            axes.set_axisbelow(True)
        if legend:
            add_legend(figure)
        return svg_of(figure)
