"""The report of a study: results as JSON lines, scores as CSV, tables in Markdown, and one HTML page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from hf_ntg.errors import InputError
from hf_ntg.files import write_text
from hf_ntg.metrics import METRICS
from hf_ntg.report.pages import page_templates
from hf_ntg.study.plan import FINE_TUNED, PAPER, REAL, STRICT, WITH_UNLABELLED
from hf_ntg.study.results import plots
from hf_ntg.study.results.overview import glance_tables, overview_tables
from hf_ntg.study.results.privacy import epsilon_curves
from hf_ntg.study.results.summary import Score, scores_of, time_to_fidelity
from hf_ntg.study.results.table import Table, as_csv, as_markdown, cell_text
from hf_ntg.study.results.tables import study_tables
from hf_ntg.study.run import read_plans
from hf_ntg.study.store import RESULTS_FILE, ResultStore, identity_of, write_results
from hf_ntg.training.config import MODEL_FAMILIES

__all__ = ["all_tables", "overview_of", "write_study"]

_SECTIONS = {
    "glance": ("At a glance", "How useful are the flows of each generator, and how many of them are copies?"),
    "overview": ("Overview", "How realistic, useful, private and costly is each generator?"),
    "fidelity": ("Fidelity and privacy", "How close are they to real flows, and how many repeat training flows?"),
    "synthetic-only": ("Synthetic flows alone", "How good is a classifier that is trained on synthetic flows only?"),
    "augmentation": ("Few labels", "How much do synthetic flows improve a classifier that has few real ones?"),
    "efficiency": ("Cost", "What do training, storage and generation cost?"),
    "training-length": ("Length of training", "How do quality and privacy change with longer training?"),
    "sampling": ("Samplers of diffusion", "Which scheduler, and how many denoising steps, are enough?"),
    "privacy": ("Differential privacy", "What does a guarantee for every training flow cost?"),
}
_READING = (
    "Scores are means over seeds. Each seed has its own split, training and generation. With more than one seed, ± is "
    "half the width of the 95 % confidence interval of the mean (Student's t). The row or column “real” is the score "
    "of real flows: the best that can be expected, and the noise floor of each measure."
)


def write_study(output: Path) -> str:
    """Collect the finished runs in `output` and write the report.

    Writes ``results.jsonl`` (one line for each run), ``scores.csv`` (one line for each measure), ``tables/*.md``,
    ``report.md`` and the self-contained ``report.html``. An unfinished study is reported as far as it is done. A folder
    with nothing but ``results.jsonl`` is enough.

    Returns:
        A line that says how many runs are reported and which are missing.

    Raises:
        InputError: no run is finished.
    """
    rows, plans = ResultStore(output).gather(), read_plans(output)
    if not rows:
        raise InputError(f"{output}: no finished run of a study")
    rows.sort(key=lambda row: [str(part) for part in identity_of(row)])
    write_results(rows, output / RESULTS_FILE)
    scores = scores_of(rows) + time_to_fidelity(rows)
    tables = all_tables(rows)
    missing = _missing(rows, plans)
    write_text(output / "scores.csv", as_csv(scores))
    for table in tables:
        write_text(output / "tables" / f"{table.name}.md", as_markdown(table))
    page = _page(rows, plans, scores, tables, missing)
    write_text(output / "report.md", _markdown(page, tables))
    write_text(
        output / "report.html", page_templates("hf_ntg.study.results").get_template("study.html.j2").render(page)
    )
    left = ", ".join(f"{axis} {count}" for axis, count in missing.items())
    return f"{len(rows)} runs reported; missing: {left or 'none'}"


def all_tables(rows: Sequence[dict]) -> list[Table]:
    """All tables that the results of a study can fill: those over all flow tables first, then overviews."""
    scores = scores_of(rows) + time_to_fidelity(rows)
    return glance_tables(scores) + overview_tables(scores) + study_tables(scores)


def overview_of(output: Path) -> list[Table]:
    """The overview tables of the finished runs in `output`."""
    rows = ResultStore(output).gather()
    return overview_tables(scores_of(rows) + time_to_fidelity(rows))


def _missing(rows: list[dict], plans: list[dict]) -> Counter:
    """Number of planned runs that are not done, by axis."""
    done = {identity_of(row) for row in rows}
    planned = {identity_of(run): run["axis"] for plan in plans for run in plan["runs"]}
    return Counter(axis for identity, axis in planned.items() if identity not in done)


def _page(rows: list[dict], plans: list[dict], scores: list[Score], tables: list[Table], missing: Counter) -> dict:
    """The values that the templates of the report need."""
    splits: dict[str, dict[str, None]] = {}
    for row in rows:
        splits.setdefault(row["flows"], {})[row["by"]] = None
    named = [f"{flows} (split by {' and by '.join(ways)})" for flows, ways in splits.items()]
    models = dict.fromkeys(row["model"] for row in rows if row["axis"] == "fidelity" and row["model"] != REAL)
    lead = (
        f"{len(models)} generators on {len(splits)} flow table{'s' * (len(splits) > 1)}, in {len(rows):,} runs: "
        f"{', '.join(named)}."
    )
    if missing:
        lead += f" Not finished: {missing.total()} planned runs are still to be done."
    drawn = _drawn(scores, rows)
    sections = []
    for axis, (title, question) in _SECTIONS.items():
        own = [table for table in tables if table.axis == axis]
        if own:
            shown = [{"caption": caption, "svg": svg} for caption, svg in drawn.get(axis, []) if svg is not None]
            sections.append(
                {"name": axis, "title": title, "question": question, "figures": shown, "groups": _groups(own)}
            )
    return {
        "lead": lead,
        "reading": _READING,
        "sections": sections,
        "reals": (REAL, "few real flows alone", "all real training flows"),
        "metrics": [metric for metric in METRICS if metric.group != "use"],
        "notes": _notes(rows, plans, missing),
        "provenance": _provenance(rows, plans),
    }


def _drawn(scores: list[Score], rows: list[dict]) -> dict[str, list[tuple[str, str | None]]]:
    few = "Macro-F1 of a random forest against real flows per class; "
    return {
        "glance": [
            (
                "The star is real flows. Good generators are near it: close to the test flows, with few copies.",
                plots.frontier(scores),
            )
        ],
        "synthetic-only": [
            (
                "Points of macro-F1 below a random forest trained on real flows; less is better.",
                plots.gap_bars(scores),
            ),
            *(
                (f"Confusion matrices of {place}, as shares of the true class.", svg)
                for place, svg in plots.confusions(rows, MODEL_FAMILIES).items()
            ),
        ],
        "augmentation": [
            (few + "strict: the generator has seen only the few flows.", plots.shot_curves(scores, STRICT)),
            (
                few + "with unlabelled: all other training flows too, without labels.",
                plots.shot_curves(scores, WITH_UNLABELLED),
            ),
            (few + "paper: the generator has seen the whole training set.", plots.shot_curves(scores, PAPER)),
            (
                few + "fine-tuned: the generator was first trained on another data set.",
                plots.shot_curves(scores, FINE_TUNED),
            ),
        ],
        "training-length": [("One line for each generator, table and split.", plots.length_curves(scores))],
        "sampling": [
            (
                "Macro-F1 of a random forest, trained on as many synthetic flows as training flows.",
                plots.step_curves(scores),
            )
        ],
        "privacy": [
            (
                "Macro-F1 of a random forest that learned from the flows of a private generator alone.",
                epsilon_curves(scores),
            )
        ],
    }


def _groups(tables: list[Table]) -> list[dict]:
    """The tables of a section by their subject, to be folded together."""
    titles = dict.fromkeys(table.title for table in tables)
    return [{"title": title, "tables": [_cells(table) for table in tables if table.title == title]} for title in titles]


def _cells(table: Table) -> dict:
    styles = table.cell_styles()
    rows = [
        [name, *(cell_text(cell, style) for cell, style in zip(cells, styles, strict=True))]
        for name, cells in table.rows
    ]
    best = table.best_cells()
    marked = [
        [(cell, place > 0 and (number, place - 1) in best) for place, cell in enumerate(row)]
        for number, row in enumerate(rows)
    ]
    return {
        "place": table.place,
        "heading": table.heading,
        "head": table.head,
        "rows": marked,
        "note": table.note,
        "name": table.name,
        "has_best": bool(best),
    }


def _markdown(page: dict, tables: list[Table]) -> str:
    parts = [f"# Study of network flow generators\n\n{page['lead']}\n\n{page['reading']}\n"]
    parts += [f"\n## {table.heading}\n\n{as_markdown(table)}\n{table.note}" for table in tables]
    if page["notes"]:
        parts.append("\n## Missing\n")
        parts += [f"- {note}" for note in page["notes"]]
    parts.append("\n## Made by\n")
    parts += [f"- {line}" for line in page["provenance"]]
    return "\n".join(parts) + "\n"


def _notes(rows: list[dict], plans: list[dict], missing: Counter) -> list[str]:
    notes = [f"{axis}: {count} planned runs are not done." for axis, count in missing.items()]
    cuts = {", ".join(f"{k} {v}" for k, v in plan["profile"]["training"].items()): None for plan in plans}
    notes += [f"Training not by the recipes: {settings} in place of theirs." for settings in cuts if settings]
    models_of: dict[str, set[str]] = {}
    for row in rows:
        for note in row["notes"]:
            models_of.setdefault(note, set()).add(row["model"])
    return notes + [f"{', '.join(sorted(models))}: {note}." for note, models in models_of.items()]


def _provenance(rows: list[dict], plans: list[dict]) -> list[str]:
    lines = [f"{plan['command']}" for plan in plans if plan["command"]]
    commits = Counter(str(row["made"]["commit"]) for row in rows)
    versions = sorted({row["made"]["hf_ntg"] for row in rows})
    devices = Counter(row["made"].get("device", "an unknown device") for row in rows)
    at, on = (", ".join(f"{name} ({count} runs)" for name, count in found.items()) for found in (commits, devices))
    first, last = (part(row["made"]["finished"] for row in rows)[:16] for part in (min, max))
    hours = sum(row["made"]["cpu_seconds"] for row in rows) / 3600
    lines.append(f"hf_ntg {', '.join(versions)}; commits {at}; on {on}.")
    return [*lines, f"{hours:.2f} CPU hours; first run {first}, last {last} UTC."]
