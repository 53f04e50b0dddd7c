"""The one table that answers for a generator: like real flows, of use, no copies, at what price; and where it goes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hf_ntg.errors import InputError
from hf_ntg.study.plan import REAL, model_order
from hf_ntg.study.summary import Figure
from hf_ntg.study.tables import Table, as_markdown

__all__ = ["fill_tables", "overview_tables"]

_MARKED = re.compile(r"(<!-- table: (?P<name>[^\s]+) -->\n).*?(<!-- end of table -->)", flags=re.DOTALL)


def overview_tables(figures: Sequence[Figure], classifier: str = "random_forest") -> list[Table]:
    """For each table and split a line a generator, real flows first: figures from three axes that matter most."""
    found = {
        tuple(figure.place.get(name) for name in ("flows", "by", "model", "measure", "times")): figure
        for figure in figures
        if figure.place["axis"] in ("fidelity", "synthetic-only", "efficiency")
        and figure.place.get("classifier", classifier) == classifier
    }
    tables = []
    for flows, by in dict.fromkeys((key[0], key[1]) for key in found):
        times = sorted({key[4] for key in found if key[:2] == (flows, by) and key[4] is not None})
        columns = {
            ("flow_jsd", None): ("JSD, bits", "3"),
            ("flow_jsd.ratio", None): ("JSD × real", "2"),
            ("timing_distance", None): ("times, decades", "3"),
            **{("macro_f1", size): (f"macro-F1, {size}×", "3") for size in times},
            **{("gap_points", size): (f"points under real, {size}×", "1") for size in times[-1:]},
            ("copy_rate", None): ("copies", "%"),
            ("training_cpu_seconds", None): ("training, CPU s", "0"),
            ("flows_per_cpu_second", None): ("flows/CPU s", "0"),
        }
        models = sorted({key[2] for key in found if key[:2] == (flows, by)}, key=model_order)
        rows = [
            (model, tuple(_cell(found, flows, by, model, measure, size) for measure, size in columns))
            for model in models
        ]
        heads, styles = (tuple(part) for part in zip(*columns.values(), strict=True))
        note = (
            "JSD: Jensen-Shannon divergence of packets to the test flows. Macro-F1: of a random forest taught by "
            "synthetic flows alone, n for each training flow, tested on real ones. Copies: those of a training flow."
        )
        title = f"Overview: {flows}, split by {by}"
        tables.append(Table(f"overview-{flows}-{by}", title, ("", *heads), rows, "overview", flows, by, note, styles))
    return tables


def fill_tables(text: str, tables: Sequence[Table], source: str) -> str:
    """`text` with every table between ``<!-- table: NAME -->`` and ``<!-- end of table -->`` made anew.

    Raises:
        InputError: a table that is named does not exist; `source` names the text.
    """
    known = {table.name: table for table in tables}

    def fill(match: re.Match) -> str:
        if match["name"] not in known:
            raise InputError(f"{source}: no table {match['name']!r} in the results; there are {', '.join(known)}")
        return f"{match[1]}\n{as_markdown(known[match['name']])}\n{match[3]}"

    return _MARKED.sub(fill, text)


def _cell(found: dict, flows: str, by: str, model: str, measure: str, times: int | None) -> Figure | None:
    if model == REAL and measure == "macro_f1":
        times = 1  # real flows cannot be multiplied
    if model == REAL and measure == "flow_jsd.ratio":
        return None
    return found.get((flows, by, model, measure, times))
