"""One table of a study, and its forms: Markdown, text for a terminal, CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hf_ntg.flows.spreadsheet import guarded
from hf_ntg.study.plan import REAL
from hf_ntg.study.results.summary import Score
from hf_ntg.text_tables import TextTable

__all__ = ["Table", "as_csv", "as_markdown", "as_text", "cell_text"]

_PLACE = ("axis", "flows", "by", "model", "measure")
_NO_RIVALS = (REAL, "replay", "few real flows alone", "all real training flows")


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        name: name of its file.
        title, note: subject and explanation. Tables of one subject, one for each flow table and split, share them.
        head: heading of each column.
        rows: name of the row, and a score or None for each further column.
        axis, flows, by: question, flow table and split.
        styles: format of each column but the first, see :func:`cell_text`.
        better: which way is better, for each column but the first, or for each row if `by_row`: ``lower``, ``higher``,
            ``real`` (closest to the score of real flows), or ``""``.
        by_row: each row is one measure, and the columns are what is compared.
    """

    name: str
    title: str
    head: tuple[str, ...]
    rows: list[tuple[str, tuple[Score | None, ...]]]
    axis: str
    flows: str
    by: str
    note: str = ""
    styles: tuple[str, ...] = ()
    better: tuple[str, ...] = ()
    by_row: bool = False

    def best_cells(self) -> set[tuple[int, int]]:
        """Places (row, column without the names) of the best score of each measure.

        Real flows and replay, which returns them, do not compete.
        """
        names = list(self.head[1:]) if self.by_row else [name for name, _ in self.rows]
        grid = [cells for _, cells in self.rows]
        lines = grid if self.by_row else list(zip(*grid, strict=True))
        found = set()
        for place, (line, better) in enumerate(zip(lines, self.better, strict=False)):
            real = next((cell.mean for name, cell in zip(names, line, strict=True) if name == REAL and cell), None)
            rivals = {k: cell.mean for k, cell in enumerate(line) if cell is not None and names[k] not in _NO_RIVALS}
            if better == "real" and real is not None:
                loss = {k: abs(value - real) for k, value in rivals.items()}
            elif better in ("lower", "higher"):
                loss = {k: value if better == "lower" else -value for k, value in rivals.items()}
            else:
                continue
            if len(loss) > 1:
                least = min(loss.values())
                found |= {(place, k) if self.by_row else (k, place) for k, value in loss.items() if value == least}
        return found

    @property
    def place(self) -> str:
        """Flow table and split, in words; empty for a table about several."""
        return f"{self.flows}, split by {self.by}" if self.flows else ""

    @property
    def heading(self) -> str:
        """Subject and place."""
        return f"{self.title}: {self.place}" if self.place else self.title

    def cell_styles(self) -> Sequence[str]:
        """Format of each column, see :func:`cell_text`."""
        return self.styles or ("3",) * (len(self.head) - 1)


def as_markdown(table: Table) -> str:
    """A table in Markdown. With several seeds, cells show the mean ± half the width of its interval."""
    lines = [
        "| " + " | ".join(table.head) + " |",
        "|---|" + "--:|" * (len(table.head) - 1),
    ]
    lines += [f"| {' | '.join(row)} |" for row in as_text(table).rows]
    return "\n".join(lines) + "\n"


def as_text(table: Table) -> TextTable:
    """A table for the command line, with its title."""
    rows = [
        (name, *(cell_text(cell, style) for cell, style in zip(cells, table.cell_styles(), strict=True)))
        for name, cells in table.rows
    ]
    return TextTable(table.head, rows, table.heading)


def as_csv(scores: Iterable[Score]) -> str:
    """CSV with one line for each score: place, mean, half the width of its interval, number of seeds, values."""
    held = io.StringIO()
    scores = list(scores)
    details = sorted({name for score in scores for name in score.place} - {*_PLACE})
    writer = csv.writer(held, lineterminator="\n")
    writer.writerow([*_PLACE, *details, "mean", "half_width_95", "seeds", "values"])
    for score in scores:
        place = [guarded(str(score.place.get(name, ""))) for name in (*_PLACE, *details)]
        half = score.half_width
        values = " ".join(f"{value:.6g}" for value in score.values)
        tail = [f"{score.mean:.6g}", "" if half is None else f"{half:.4g}", len(score.values), values]
        writer.writerow([*place, *tail])
    return held.getvalue()


def cell_text(score: Score | None, style: str = "3") -> str:
    """A score as text.

    `style` is a number of decimals, ``%`` for a share, ``si`` for large numbers, or ``s`` for seconds, whole from ten.
    """
    if score is None:
        return "–"
    half = score.half_width
    if style == "s":
        style = "0" if abs(score.mean) >= 10 else "2"
    text = _number(score.mean, style)
    return text if half is None else f"{text.removesuffix(' %')} ± {_number(half, style)}"


def _number(value: float, style: str) -> str:
    if style == "%":
        return f"{100 * value:.1f} %"
    if style == "si":
        for size, mark in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
            if abs(value) >= size:
                return f"{value / size:.2f}{mark}"
        return f"{value:.0f}"
    return f"{round(value, int(style)) + 0.0:,.{style}f}".replace("-", "−")  # + 0.0: no negative zero
