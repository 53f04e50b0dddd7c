"""The table of compare_rivals.py's results: a row a generator, a column a score, one table for each flow table."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import numpy as np

__all__ = ["rivals_tables"]

HEAD = ("macro-F1, 1×", "macro-F1, 4×", "JSD × real", "times × real", "AUC", "once-seen copies above real")
COSTS = ("training, CPU s", "flows/CPU s")


def rivals_tables(results: Path) -> dict[str, str]:
    """Markdown tables by name, ``rivals-TABLE``. Runs that failed have no row.

    Macro-F1 is that of the forest in percent. Several seeds show their mean ± standard deviation.
    """
    lines = results.read_text(encoding="utf-8").splitlines()
    found: dict[str, dict[str, list[dict]]] = defaultdict(lambda: defaultdict(list))
    for row in map(json.loads, lines):
        if "error" not in row:
            name = f"{row['model']}, {row['settings']}" if row["settings"] else row["model"]
            found[row["table"]][name].append(row)
    return {f"rivals-{table}": _markdown(models) for table, models in found.items()}


def _markdown(models: dict[str, list[dict]]) -> str:
    heads = ["", "seeds", *HEAD, *COSTS]
    lines = [f"| {' | '.join(heads)} |", f"|---|{'--:|' * (len(heads) - 1)}"]
    whole = {row["seed"]: row for rows in models.values() for row in rows}
    real = [row["real"]["random_forest"] for row in whole.values()]
    blank = ["–"] * (len(heads) - 4)
    lines.append(f"| {' | '.join(['real', str(len(real)), _cell(real, 1), _cell(real, 1), *blank])} |")
    for name, rows in sorted(models.items()):
        lines.append(f"| {' | '.join([name, str(len(rows)), *_cells(rows)])} |")
    return "\n".join(lines) + "\n"


def _cells(rows: list[dict]) -> list[str]:
    def of(multiple: str, name: str) -> list[float]:
        return [found[name] for row in rows if name in (found := row["by_multiple"].get(multiple, {}))]

    def f1(multiple: str) -> list[float]:
        real = [row["real"]["random_forest"] for row in rows if multiple in row["by_multiple"]]
        return [whole + gap for whole, gap in zip(real, of(multiple, "random_forest"), strict=True)]

    scores = [_cell(f1("1"), 1), _cell(f1("4"), 1), _cell(of("1", "jsd_ratio"), 2), _cell(of("1", "times_ratio"), 2)]
    scores += [_cell(of("1", "c2st"), 2), _cell(of("1", "copies_excess"), 1)]
    cost = [row["fit_cpu_seconds"] for row in rows]
    rate = np.mean(of("1", "flows_per_cpu_second"))
    return [*scores, f"{np.mean(cost):.0f}" if np.mean(cost) >= 1 else f"{np.mean(cost):.2f}", f"{rate:,.0f}"]


def _cell(values: list[float], decimals: int) -> str:
    if not values:
        return "–"
    spread = f" ± {np.std(values, ddof=1):.{decimals}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{decimals}f}{spread}".replace("-", "−")
