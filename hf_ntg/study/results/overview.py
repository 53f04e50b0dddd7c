"""The one table that answers for a generator: like real flows, of use, no copies, at what price; and where it goes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from hf_ntg.errors import InputError
from hf_ntg.study.plan import REAL, model_order
from hf_ntg.study.results.summary import Score
from hf_ntg.study.results.tables import Table

__all__ = ["cards_table", "fill_tables", "overview_tables"]

_CARD_MEASURES = ("flow_jsd", "ngram_jsd", "timing_distance", "tstr", "c2st", "once_seen_copies")
_MARKED = re.compile(r"(<!-- table: (?P<name>[^\s]+) -->\n).*?(<!-- end of table -->)", flags=re.DOTALL)


def overview_tables(scores: Sequence[Score], classifier: str = "random_forest") -> list[Table]:
    """For each table and split a line a generator, real flows first: scores from three axes that matter most."""
    found = {
        tuple(score.place.get(name) for name in ("flows", "by", "model", "measure", "times")): score
        for score in scores
        if score.place["axis"] in ("fidelity", "synthetic-only", "efficiency")
        and score.place.get("classifier", classifier) == classifier
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
            ("once_seen_copies", None): ("once-seen copies above real, points", "1"),
            ("training_cpu_seconds", None): ("training, CPU s", "0"),
            ("flows_per_cpu_second", None): ("flows/CPU s", "0"),
        }
        measured = {key[3] for key in found if key[:2] == (flows, by)}
        columns = {column: look for column, look in columns.items() if column[0] in measured}
        models = sorted({key[2] for key in found if key[:2] == (flows, by)}, key=model_order)
        rows = [
            (model, tuple(_cell(found, flows, by, model, measure, size) for measure, size in columns))
            for model in models
        ]
        heads, styles = (tuple(part) for part in zip(*columns.values(), strict=True))
        note = (
            "JSD: Jensen-Shannon divergence of packets to the test flows. Macro-F1: of a random forest taught by "
            "synthetic flows alone, n for each training flow, tested on real ones. Once-seen copies: share of flows "
            "that repeat a training flow seen once, less that of unseen real flows."
        )
        title = f"Overview: {flows}, split by {by}"
        tables.append(Table(f"overview-{flows}-{by}", title, ("", *heads), rows, "overview", flows, by, note, styles))
    return tables


def cards_table(folders: Sequence[Path]) -> str:
    """The named models side by side, as Markdown, from the ``evaluation.json`` of each folder.

    The columns of real flows and of baselines are those of the first; models are judged on the same flows, or refused.

    Raises:
        InputError: a folder has no such file, or its flows are other ones.
    """
    found = {folder.name: _evaluation(folder) for folder in folders}
    first = next(iter(found.values()))
    others = [name for name in first["columns"] if name not in (REAL, "synthetic")]
    head = ("", "real held-out", *found, *others)
    lines = [f"|{' | '.join(head)} |", f"|---{'|--:' * (len(head) - 1)}|"]
    for measure in (name for name in _CARD_MEASURES if name in first["metrics"]):
        told = first["metrics"][measure]
        values = [told["values"][REAL]]
        for name, evaluation in found.items():
            if evaluation["metrics"][measure]["values"][REAL] != told["values"][REAL]:
                raise InputError(f"{name}: was judged on other flows than {next(iter(found))}")
            values.append(evaluation["metrics"][measure]["values"]["synthetic"])
        values += [told["values"][name] for name in others]
        unit = f", {told['unit']}" if told["unit"] else ""
        lines.append(f"| {told['title']}{unit} | " + " | ".join(f"{value:.3f}" for value in values) + " |")
    return "\n".join(lines)


def fill_tables(text: str, tables: Mapping[str, str], source: str) -> str:
    """`text` with what stands between ``<!-- table: NAME -->`` and ``<!-- end of table -->`` taken from `tables`.

    Raises:
        InputError: a table that is named does not exist; `source` names the text.
    """

    def fill(match: re.Match) -> str:
        if match["name"] not in tables:
            raise InputError(f"{source}: no table {match['name']!r} in the results; there are {', '.join(tables)}")
        return f"{match[1]}\n{tables[match['name']]}\n{match[3]}"

    return _MARKED.sub(fill, text)


def _evaluation(folder: Path) -> dict:
    path = folder / "evaluation.json"
    if not path.is_file():
        raise InputError(f"{path}: no such file; a recipe that is run with --record leaves it")
    return json.loads(path.read_text(encoding="utf-8"))


def _cell(found: dict, flows: str, by: str, model: str, measure: str, times: int | None) -> Score | None:
    if model == REAL and measure == "macro_f1":
        times = 1  # real flows cannot be multiplied
    if model == REAL and measure == "flow_jsd.ratio":
        return None
    return found.get((flows, by, model, measure, times))
