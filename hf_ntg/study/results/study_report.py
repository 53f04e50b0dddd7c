"""What a study left: results as JSON lines, scores as CSV, tables in Markdown, and one HTML page."""

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
from hf_ntg.study.results.overview import overview_tables
from hf_ntg.study.results.summary import Score, scores_of, time_to_fidelity
from hf_ntg.study.results.tables import Table, as_csv, as_markdown, cell_text, study_tables
from hf_ntg.study.run import read_plans
from hf_ntg.study.store import RESULTS_FILE, ResultStore, identity_of, write_results
from hf_ntg.training.config import MODEL_FAMILIES

__all__ = ["all_tables", "findings", "write_study"]

_SECTIONS = {
    "overview": ("Overview", "Like real flows, of use to a classifier, no copies, and at what price?"),
    "fidelity": ("Fidelity and privacy", "How like real flows are they, and how many of them merely repeat?"),
    "synthetic-only": ("Synthetic flows alone", "What does a classifier learn that never saw a real flow?"),
    "augmentation": ("Few labels", "What do synthetic flows add to a handful of real ones?"),
    "efficiency": ("Cost", "What does a generator cost to make, to keep and to draw from?"),
    "training-length": ("Length of training", "What does a longer training buy, and what does it give away?"),
    "sampling": ("Samplers of diffusion", "How many denoising steps does it take, and of which scheduler?"),
}
_READING = (
    "Scores are means over seeds, each seed with a split, a training and draws of its own; ± is half of the 95 % "
    "interval of the mean (Student's t), and stands where there is more than one seed. The row or column real is what "
    "real flows reach: the ceiling, and the noise floor of each measure."
)


def write_study(output: Path) -> str:
    """Gather the finished runs in `output` and report them; says what is there and what is missing.

    Leaves ``results.jsonl`` (one run a line), ``scores.csv`` (one measure a line, over seeds), ``tables/*.md``,
    ``report.md`` and ``report.html``, which is one file. Reports whatever part of a study is finished; a folder that
    holds ``results.jsonl`` alone is enough.

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
    """Every table that the results of a study fill, the overviews first."""
    scores = scores_of(rows) + time_to_fidelity(rows)
    return overview_tables(scores) + study_tables(scores)


def findings(scores: Sequence[Score], classifier: str = "random_forest") -> list[str]:
    """A sentence for each table and split: how far the best family and the best baseline stay under real flows.

    Replay, which hands out the training flows, is no rival here.
    """
    lines = []
    copies = {_spot(score): score.mean for score in scores if _is_excess(score)}
    gaps = [f for f in scores if f.place["measure"] == "gap_points" and f.place["classifier"] == classifier]
    gaps = [f for f in gaps if f.place["model"] not in (REAL, "replay")]
    for flows, by in dict.fromkeys((score.place["flows"], score.place["by"]) for score in gaps):
        here = [score for score in gaps if _spot(score)[:2] == (flows, by)]
        most = max(score.place["times"] for score in here)
        told = []
        for kind, is_family in (("family", True), ("baseline", False)):
            own = [f for f in here if (f.place["model"] in MODEL_FAMILIES) == is_family and f.place["times"] == most]
            if own:
                told.append(_told_best(kind, min(own, key=lambda score: score.mean), copies))
        lines.append(f"{flows}, split by {by}, a forest taught by {most}× synthetic flows: {'; '.join(told)}.")
    return lines


def _told_best(kind: str, best: Score, copies: dict[tuple, float]) -> str:
    side = "under" if best.mean >= 0 else "over"
    text = f"with the best {kind}, {best.place['model']}, {abs(best.mean):.1f} points of macro-F1 {side} real flows"
    excess = copies.get(_spot(best))
    return text if excess is None else f"{text} (copies of once-seen training flows: {excess:+.1f} points above real)"


def _is_excess(score: Score) -> bool:
    return (score.place["axis"], score.place["measure"]) == ("fidelity", "once_seen_copies")


def _spot(score: Score) -> tuple[str, str, str]:
    return (score.place["flows"], score.place["by"], score.place["model"])


def _missing(rows: list[dict], plans: list[dict]) -> Counter:
    """How many of the planned runs are not done, by axis."""
    done = {identity_of(row) for row in rows}
    planned = {identity_of(run): run["axis"] for plan in plans for run in plan["runs"]}
    return Counter(axis for identity, axis in planned.items() if identity not in done)


def _page(rows: list[dict], plans: list[dict], scores: list[Score], tables: list[Table], missing: Counter) -> dict:
    places = dict.fromkeys((row["flows"], row["by"]) for row in rows)
    models = dict.fromkeys(row["model"] for row in rows if row["axis"] == "fidelity" and row["model"] != REAL)
    lead = (
        f"{len(models)} generators on {len({flows for flows, _ in places})} flow tables, in {len(rows)} runs: "
        f"{', '.join(f'{flows} by {by}' for flows, by in places)}."
    )
    if missing:
        lead += f" Not finished: {missing.total()} planned runs are still to be done."
    drawn = _drawn(scores, rows)
    sections = []
    for axis, (title, question) in _SECTIONS.items():
        own = [table for table in tables if table.axis == axis]
        if own:
            shown = [{"caption": caption, "svg": svg} for caption, svg in drawn.get(axis, []) if svg is not None]
            cells = [_cells(table) for table in own]
            sections.append({"title": title, "question": question, "figures": shown, "tables": cells})
    return {
        "lead": lead,
        "findings": findings(scores),
        "reading": _READING,
        "sections": sections,
        "reals": (REAL, "few real flows alone", "all real training flows"),
        "metrics": [metric for metric in METRICS if metric.group != "use"],
        "notes": _notes(rows, plans, missing),
        "provenance": _provenance(rows, plans),
    }


def _drawn(scores: list[Score], rows: list[dict]) -> dict[str, list[tuple[str, str | None]]]:
    few = "Macro-F1 of a forest against real flows a class; "
    return {
        "fidelity": [
            (
                "Near the star in both is where a generator should be: like real flows, no more copies.",
                plots.frontier(scores),
            )
        ],
        "synthetic-only": [
            (
                "Points of macro-F1 of a forest under one taught by real flows; less is better.",
                plots.gap_bars(scores),
            ),
            *(
                ("Which class is taken for which, shares of the true class.", svg)
                for svg in plots.confusions(rows, MODEL_FAMILIES)
            ),
        ],
        "augmentation": [
            (few + "strict: whatever helps out has seen the few flows alone.", plots.shot_curves(scores, STRICT)),
            (
                few + "with unlabelled: all other training flows too, without labels.",
                plots.shot_curves(scores, WITH_UNLABELLED),
            ),
            (few + "paper: the generator has seen the whole training set.", plots.shot_curves(scores, PAPER)),
            (few + "fine-tuned: trained on another data set before.", plots.shot_curves(scores, FINE_TUNED)),
        ],
        "training-length": [("One line a generator, table and split.", plots.length_curves(scores))],
        "sampling": [("Macro-F1 of a forest, as many flows as taught the model.", plots.step_curves(scores))],
    }


def _cells(table: Table) -> dict:
    styles = table.cell_styles()
    rows = [
        [name, *(cell_text(cell, style) for cell, style in zip(cells, styles, strict=True))]
        for name, cells in table.rows
    ]
    return {"title": table.title, "head": table.head, "rows": rows, "note": table.note}


def _markdown(page: dict, tables: list[Table]) -> str:
    parts = [f"# Generators of network flows, studied\n\n{page['lead']}\n\n{page['reading']}\n"]
    parts += [f"- {line}" for line in page["findings"]]
    parts += [f"\n## {table.title}\n\n{as_markdown(table)}\n{table.note}" for table in tables]
    if page["notes"]:
        parts.append("\n## What is not there\n")
        parts += [f"- {note}" for note in page["notes"]]
    parts.append("\n## Made by\n")
    parts += [f"- {line}" for line in page["provenance"]]
    return "\n".join(parts) + "\n"


def _notes(rows: list[dict], plans: list[dict], missing: Counter) -> list[str]:
    notes = [f"{axis}: {count} planned runs are not done." for axis, count in missing.items()]
    cuts = {", ".join(f"{k} {v}" for k, v in plan["profile"]["training"].items()): None for plan in plans}
    notes += [f"Training not by the recipes: {settings} in place of theirs." for settings in cuts if settings]
    told: dict[str, set[str]] = {}
    for row in rows:
        for note in row["notes"]:
            told.setdefault(note, set()).add(row["model"])
    return notes + [f"{', '.join(sorted(models))}: {note}." for note, models in told.items()]


def _provenance(rows: list[dict], plans: list[dict]) -> list[str]:
    lines = [f"{plan['command']}" for plan in plans if plan["command"]]
    commits = Counter(str(row["made"]["commit"]) for row in rows)
    versions = sorted({row["made"]["hf_ntg"] for row in rows})
    devices = Counter(row["made"].get("device", "a machine not told") for row in rows)
    at, on = (", ".join(f"{name} ({count} runs)" for name, count in found.items()) for found in (commits, devices))
    first, last = (part(row["made"]["finished"] for row in rows)[:16] for part in (min, max))
    hours = sum(row["made"]["cpu_seconds"] for row in rows) / 3600
    lines.append(f"hf_ntg {', '.join(versions)}; commits {at}; on {on}.")
    return [*lines, f"{hours:.2f} CPU hours; first run {first}, last {last} UTC."]
