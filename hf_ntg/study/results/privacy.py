"""The table and the plot of differential privacy: scores against epsilon."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from hf_ntg.report.plots import REAL as REAL_COLOR
from hf_ntg.study.plan import FRESH, NONE, REAL, model_order
from hf_ntg.study.results.plots import by_place, color_of, panels
from hf_ntg.study.results.summary import Score
from hf_ntg.study.results.table import Table

__all__ = ["epsilon_curves", "privacy_table"]

_COLUMNS = {
    "macro_f1": ("macro-F1", "3"),
    "gap_points": ("points below real", "1"),
    "flow_jsd": ("JSD, bits", "3"),
    "c2st": ("AUC, synthetic or real", "3"),
    "once_seen_copies": ("once-seen copies above real, points", "1"),
    "training_cpu_seconds": ("training, CPU s", "s"),
}
_NOTE = (
    "ε: a bound on what the flows reveal about one training flow; smaller is stronger. “public”: training started from "
    "a model of another table, which counts as public. “counts”: the ordinary recipe trained on flows of a private "
    "n-gram. Generators learn directions and lengths, and make as many flows as they were trained on. Macro-F1: of a "
    "random forest that is trained on these flows alone. AUC: of a random forest that tells them from real flows; 0.5 "
    "is chance. The scores compare with real flows: they are not private."
)
_LINES = ("-", "--", ":", "-.")


def privacy_table(scores: Sequence[Score], flows: str, by: str) -> Table:
    """One table for one flow table and split: real flows, generators without a guarantee, then those with one."""
    found = {(*_generator(score), str(score.place["epsilon"]), score.place["measure"]): score for score in scores}
    columns = [name for name in _COLUMNS if any(key[3] == name for key in found)]
    heads, styles = zip(*(_COLUMNS[name] for name in columns), strict=True)
    kinds = sorted({_generator(score) for score in scores}, key=lambda kind: (model_order(kind[0]), kind[1] != FRESH))
    rows = [
        (_row_name(model, start, NONE), tuple(found.get((model, start, NONE, name)) for name in columns))
        for model, start in kinds
        if (model, start, NONE, "macro_f1") in found
    ]
    for model, start in kinds:
        own = {score.place["epsilon"] for score in scores if _generator(score) == (model, start)} - {NONE}
        rows += [
            (_row_name(model, start, value), tuple(found.get((model, start, str(value), name)) for name in columns))
            for value in sorted(own, reverse=True)
        ]
    title = "Differential privacy"
    return Table(f"privacy-{flows}-{by}", title, ("", *heads), rows, "privacy", flows, by, _NOTE, styles)


def epsilon_curves(scores: Sequence[Score]) -> str | None:
    """Macro-F1 against epsilon, one line for each generator; training without a guarantee is at the right."""
    points = by_place(scores, axis="privacy", measure="macro_f1")
    budgets = sorted({s.place["epsilon"] for own in points.values() for s in own} - {NONE})
    if not budgets:
        return None
    no_guarantee = 2 * budgets[-1]  # its place on the axis

    def draw(axes: Axes, own: dict[tuple, Score]) -> None:
        kinds = sorted({key[:2] for key in own}, key=lambda kind: (model_order(kind[0]), kind[1] != FRESH))
        styles = {start: _LINES[k % len(_LINES)] for k, start in enumerate(dict.fromkeys(kind[1] for kind in kinds))}
        for model, start in kinds:
            if model == REAL:
                axes.axhline(
                    own[model, start, NONE].mean, color=REAL_COLOR, linewidth=1, linestyle="--", label="real flows"
                )
                continue
            line = [(value, own[model, start, value]) for value in budgets if (model, start, value) in own]
            if (model, start, NONE) in own:
                line.append((no_guarantee, own[model, start, NONE]))
            axes.errorbar(
                [value for value, _ in line],
                [score.mean for _, score in line],
                yerr=[score.half_width or 0 for _, score in line],
                color=color_of(model),
                linestyle=styles[start],
                marker="o",
                markersize=3,
                linewidth=1.2,
                elinewidth=0.6,
                label=_kind_name(model, start),
            )
        axes.set_xscale("log")
        axes.set_xticks([*budgets, no_guarantee], [*(f"{value:g}" for value in budgets), "none"])
        axes.minorticks_off()
        axes.set_xlabel("ε (log scale)")
        axes.set_ylabel("macro-F1")

    return panels(points, ("model", "start", "epsilon"), draw)


def _generator(score: Score) -> tuple[str, str]:
    return score.place["model"], score.place["start"]


def _kind_name(model: str, start: str) -> str:
    return model if start == FRESH else f"{model} from {start}"


def _row_name(model: str, start: str, epsilon: float | str) -> str:
    if model == REAL:
        return REAL
    return f"{_kind_name(model, start)}, {'no guarantee' if epsilon == NONE else f'ε = {epsilon:g}'}"
