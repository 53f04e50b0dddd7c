"""What a study left: results as JSON lines, figures as CSV, tables in Markdown, and one HTML page."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from hf_ntg.errors import InputError
from hf_ntg.files import write_text
from hf_ntg.study.run import read_plans
from hf_ntg.study.store import RESULTS_FILE, ResultStore, write_results
from hf_ntg.study.summary import figures_of, time_to_fidelity
from hf_ntg.study.tables import as_csv, as_markdown, study_tables

__all__ = ["write_study"]

_NOT_IDENTITY = ("measures", "details", "notes", "made")


def write_study(output: Path) -> str:
    """Gather the finished runs in `output` and report them; says what is there and what is missing.

    Leaves ``results.jsonl`` (one run a line), ``figures.csv`` (one measure a line, over seeds), ``tables/*.md``,
    ``report.md``.

    Raises:
        InputError: no run is finished.
    """
    rows = ResultStore(output).gather()
    if not rows:
        raise InputError(f"{output}: no finished run of a study")
    rows.sort(key=lambda row: [str(row[name]) for name in ("axis", "flows", "by", "model", "seed")])
    write_results(rows, output / RESULTS_FILE)
    figures = figures_of(rows) + time_to_fidelity(rows)
    write_text(output / "figures.csv", as_csv(figures))
    tables = study_tables(figures)
    for table in tables:
        write_text(output / "tables" / f"{table.name}.md", as_markdown(table))
    missing = missing_runs(rows, read_plans(output))
    text = [f"## {table.title}\n\n{as_markdown(table)}\n{table.note}\n" for table in tables]
    write_text(output / "report.md", "# Generators of network flows, studied\n\n" + "\n".join(text))
    left = ", ".join(f"{axis} {count}" for axis, count in missing.items())
    return f"{len(rows)} runs reported; missing: {left or 'none'}"


def missing_runs(rows: list[dict], plans: list[dict]) -> Counter:
    """How many of the planned runs are not done, by axis."""
    done = {_identity(row) for row in rows}
    planned = {_identity(run): run["axis"] for plan in plans for run in plan["runs"]}
    return Counter(axis for identity, axis in planned.items() if identity not in done)


def _identity(row: dict) -> tuple:
    return tuple(sorted((name, str(value)) for name, value in row.items() if name not in _NOT_IDENTITY))
