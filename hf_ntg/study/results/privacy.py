"""The table and the plot of differential privacy: scores against epsilon."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes

from hf_ntg.report.plots import REAL as REAL_COLOR
from hf_ntg.study.plan import FRESH, NONE, REAL, model_order
from hf_ntg.study.results.plots import by_place, color_of, panels
from hf_ntg.study.results.summary import Score
from hf_ntg.study.results.table import Table

__all__ = ["epsilon_curves", "privacy_tables"]

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


def privacy_tables(scores: Sequence[Score], flows: str, by: str) -> list[Table]:
    """Two tables for one flow table and split: macro-F1 with a column for each epsilon, and all measures."""
    found = {(*_generator(score), str(score.place["epsilon"]), score.place["measure"]): score for score in scores}
    columns = [name for name in _COLUMNS if any(key[3] == name for key in found)]
    heads, styles = zip(*(_COLUMNS[name] for name in columns), strict=True)
    kinds = _kinds(_generator(score) for score in scores)
    budgets = sorted({score.place["epsilon"] for score in scores} - {NONE}, reverse=True)
    curves: list[tuple[str, tuple[Score | None, ...]]] = []
    rows: list[tuple[str, tuple[Score | None, ...]]] = []
    for kind in kinds:
        values = tuple(found.get((*kind, str(value), "macro_f1")) for value in (NONE, *budgets))
        curves.append((_kind_name(*kind), values))
        if values[0] is not None:
            rows.append((_row_name(*kind, NONE), tuple(found.get((*kind, NONE, name)) for name in columns)))
    for kind in kinds:
        rows += [
            (_row_name(*kind, value), tuple(found.get((*kind, str(value), name)) for name in columns))
            for value in budgets
            if (*kind, str(value), "macro_f1") in found
        ]
    place = ("privacy", flows, by, _NOTE)
    head = ("", "no guarantee", *(f"ε = {value:g}" for value in budgets))
    title = "Macro-F1 on real flows, by ε"
    return [
        Table(f"epsilon-{flows}-{by}", title, head, curves, *place),
        Table(f"privacy-{flows}-{by}", "Differential privacy", ("", *heads), rows, *place, styles),
    ]


def epsilon_curves(scores: Sequence[Score]) -> str | None:
    """Macro-F1 against epsilon, one line for each generator; training without a guarantee is at the right."""
    points = by_place(scores, axis="privacy", measure="macro_f1")
    budgets = sorted({s.place["epsilon"] for own in points.values() for s in own} - {NONE})
    if not budgets:
        return None
    no_guarantee = 2 * budgets[-1]  # its place on the axis

    def draw(axes: Axes, own: dict[tuple, Score]) -> None:
        kinds = _kinds((key[0], key[1]) for key in own)
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


def _kinds(found: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Each pair of model and start once, in the order of tables."""
    return sorted(set(found), key=lambda kind: (model_order(kind[0]), kind[1] != FRESH, kind[1]))


def _kind_name(model: str, start: str) -> str:
    return model if start == FRESH else f"{model} from {start}"


def _row_name(model: str, start: str, epsilon: float | str) -> str:
    if model == REAL:
        return REAL
    return f"{_kind_name(model, start)}, {'no guarantee' if epsilon == NONE else f'ε = {epsilon:g}'}"
