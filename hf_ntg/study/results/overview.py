"""Overview tables with one row for each generator, and filling of tables into Markdown text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from hf_ntg.errors import InputError
from hf_ntg.study.plan import REAL, model_order
from hf_ntg.study.results.summary import Score
from hf_ntg.study.results.table import Table

__all__ = ["fill_tables", "glance_tables", "overview_tables"]

_BETTER = {"macro_f1": "higher", "flows_per_cpu_second": "higher"}  # of the other columns, lower is better
_MARKED = re.compile(r"(<!-- table: (?P<name>[^\s]+) -->\n).*?(<!-- end of table -->)", flags=re.DOTALL)


def glance_tables(scores: Sequence[Score], classifier: str = "random_forest") -> list[Table]:
    """Two tables over all flow tables and splits: how useful each generator's flows are, and how many are copies.

    All generators have a row: leaving some out by their score on the test flows would be a choice made on test flows.
    Replay is left out, since it returns the training flows.
    """
    learned = [score for score in scores if score.place["model"] not in (REAL, "replay")]
    gaps = [s for s in learned if s.place["measure"] == "gap_points" and s.place.get("classifier") == classifier]
    most: dict[tuple[str, str], int] = {}
    for score in gaps:
        most[_where(score)] = max(score.place["times"], most.get(_where(score), 0))
    gaps = [score for score in gaps if score.place["times"] == most[_where(score)]]
    copies = [s for s in learned if (s.place["axis"], s.place["measure"]) == ("fidelity", "once_seen_copies")]
    return [
        *_over_places(
            "glance-use",
            "Points of macro-F1 below real flows",
            gaps,
            {place: f", {times}×" for place, times in most.items()},
            "A random forest learned from synthetic flows alone, n× as many as training flows. It is compared with one "
            "that learned from the real training flows; both are tested on real flows.",
        ),
        *_over_places(
            "glance-copies",
            "Copies of once-seen training flows above real, points",
            copies,
            {},
            "Share of synthetic flows that repeat a training flow seen once, less that of unseen real flows.",
        ),
    ]


def _where(score: Score) -> tuple[str, str]:
    return score.place["flows"], score.place["by"]


def _over_places(
    name: str, title: str, scores: list[Score], behind: Mapping[tuple[str, str], str], note: str
) -> list[Table]:
    """One table: a row for each generator, a column for each flow table and split with `behind` it; none if empty."""
    found = {(score.place["model"], _where(score)): score for score in scores}
    places = list(dict.fromkeys(where for _, where in found))
    rows = [
        (model, tuple(found.get((model, where)) for where in places))
        for model in sorted({model for model, _ in found}, key=model_order)
    ]
    heads = ("", *(f"{flows}, by {by}{behind.get((flows, by), '')}" for flows, by in places))
    count = len(places)
    return [Table(name, title, heads, rows, "glance", "", "", note, ("1",) * count, ("lower",) * count)] if rows else []


def overview_tables(scores: Sequence[Score], classifier: str = "random_forest") -> list[Table]:
    """One table for each flow table and split: a row for each generator, real flows first, with its main scores."""
    found: dict[tuple[str, str, str, str, int | None], Score] = {
        (
            score.place["flows"],
            score.place["by"],
            score.place["model"],
            score.place["measure"],
            score.place.get("times"),
        ): score
        for score in scores
        if score.place["axis"] in ("fidelity", "synthetic-only", "efficiency")
        and score.place.get("classifier", classifier) == classifier
    }
    tables = []
    for flows, by in dict.fromkeys((key[0], key[1]) for key in found):
        times = sorted({key[4] for key in found if key[:2] == (flows, by) and key[4] is not None})
        columns: dict[tuple[str, int | None], tuple[str, str]] = {
            ("flow_jsd", None): ("JSD, bits", "3"),
            ("flow_jsd.ratio", None): ("JSD × real", "2"),
            ("timing_distance", None): ("times, decades", "3"),
            **{("macro_f1", size): (f"macro-F1, {size}×", "3") for size in times},
            **{("gap_points", size): (f"points below real, {size}×", "1") for size in times[-1:]},
            ("once_seen_copies", None): ("once-seen copies above real, points", "1"),
            ("training_cpu_seconds", None): ("training, CPU s", "s"),
            ("flows_per_cpu_second", None): ("flows/CPU s", "0"),
        }
        measured = {key[3] for key in found if key[:2] == (flows, by)}
        columns = {column: look for column, look in columns.items() if column[0] in measured}
        models = sorted({key[2] for key in found if key[:2] == (flows, by)}, key=model_order)
        rows = [
            (model, tuple(_cell(found, flows, by, model, measure, size) for measure, size in columns))
            for model in models
        ]
        heads, styles = zip(*columns.values(), strict=True)
        note = (
            "JSD: Jensen-Shannon divergence of packets to the test flows. Macro-F1: of a random forest that is trained "
            "on synthetic flows alone, n for each training flow, and tested on real ones. Once-seen copies: share of "
            "flows that repeat a training flow seen once, less that of unseen real flows."
        )
        better = tuple(_BETTER.get(measure, "lower") for measure, _ in columns)
        name = f"overview-{flows}-{by}"
        tables.append(Table(name, "Overview", ("", *heads), rows, "overview", flows, by, note, styles, better))
    return tables


def fill_tables(text: str, tables: Mapping[str, str], source: str) -> str:
    """Replace each part of `text` between ``<!-- table: NAME -->`` and ``<!-- end of table -->``.

    Args:
        tables: Markdown tables by name.
        source: name of the text, for error messages.

    Raises:
        InputError: the text names a table that does not exist.
    """

    def fill(match: re.Match) -> str:
        if match["name"] not in tables:
            raise InputError(f"{source}: no table {match['name']!r} in the results; there are {', '.join(tables)}")
        return f"{match[1]}\n{tables[match['name']]}\n{match[3]}"

    return _MARKED.sub(fill, text)


def _cell(found: dict, flows: str, by: str, model: str, measure: str, times: int | None) -> Score | None:
    if model == REAL and measure == "macro_f1":
        times = 1  # real flows cannot be multiplied
    if model == REAL and measure == "flow_jsd.ratio":
        return None
    return found.get((flows, by, model, measure, times))
