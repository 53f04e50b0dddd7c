"""The evaluation report: writes the result of `evaluate_flows` as JSON, as Markdown and as one HTML page with plots."""

from __future__ import annotations

import json
from pathlib import Path

from hf_ntg.files import replacing, write_text
from hf_ntg.report import plots
from hf_ntg.report.origin import origin_in_words
from hf_ntg.report.pages import format_score, page_templates
from hf_ntg.report.terms import PLAIN_WORDS
from hf_ntg.report.verdicts import advice, in_short, verdicts
from hf_ntg.text_tables import TextTable

__all__ = ["headline", "headline_rows", "headline_table", "write_report"]

_GROUPS = {
    "packets": "Packets, times and sizes",
    "order": "Order and rhythm",
    "whole": "Whole flows",
    "use": "Use to a classifier",
    "novelty": "Novelty and privacy",
    "validity": "Protocol",
}
_ARROWS = {"lower": "↓ lower", "higher": "↑ higher", "real": "= as real"}
# Further scores of a metric that get a line of their own: key in the result, title, which way is better.
_SECONDARY = {
    "flow_jsd": [("weighted", "weighted by flows of the class", "lower")],
    "tstr": [("weighted_f1", "weighted F1", "higher"), ("accuracy", "accuracy", "higher")],
    "coverage": [
        ("precision", "synthetic flows near real ones (precision)", "higher"),
        ("recall", "real flows near synthetic ones (recall)", "higher"),
        ("density", "density", "real"),
    ],
    "once_seen_copies": [
        ("once_seen", "flows that repeat a once-seen training flow, share", "real"),
        ("recurring", "flows that repeat a training flow that recurs, share", "real"),
        ("duplicates", "repeats within the set, share", "real"),
    ],
    "membership_inference": [("tpr_at_1_percent_fpr", "training flows identified at 1 % false positives", "real")],
}


def write_report(result: dict, directory: str | Path) -> dict[str, Path]:
    """Write `result` of :func:`hf_ntg.metrics.evaluate_flows` to report.json, report.md and report.html.

    report.json holds `result` itself. report.html is one file: it contains its styles and plots, and fetches nothing.
    The plots of packets, times and lengths are also written to ``figures/`` as PNG and PDF, for papers and slides.

    Args:
        result: the evaluation. It may have further keys: ``inputs`` (paths by name), ``model`` (see
            :func:`hf_ntg.report.origin.describe_model`) and ``judged`` (the date).

    Returns:
        The three paths, by suffix (``json``, ``md``, ``html``).
    """
    directory = Path(directory)
    paths = {suffix: directory / f"report.{suffix}" for suffix in ("json", "md", "html")}
    found = verdicts(result)
    page = {
        "summary": _summary(result),
        "in_short": in_short(found),
        "verdicts": found,
        "advice": advice(result),
        "origin": origin_in_words(result),
        "result": result,
        "rows": headline_rows(result),
        "classes": _class_rows(result),
    }
    drawn = _draw_figures(result, directory / "figures")
    drawn |= {"scores": plots.class_scores(result), "positions": plots.position_divergence(result)}
    templates = page_templates()
    write_text(paths["md"], templates.get_template("report.md.j2").render(page))
    write_text(paths["html"], templates.get_template("report.html.j2").render(page, figures=drawn))
    # Last, since a run that finds it takes the report for complete.
    write_text(paths["json"], json.dumps(result, ensure_ascii=False, allow_nan=False) + "\n")
    return paths


def _draw_figures(result: dict, folder: Path) -> dict[str, str | None]:
    """Write the plots of packets, times and lengths to `folder`, and return those of the page, which have baselines.

    Each is made once: a figure with dozens of panels takes a second.
    """
    profiles, columns = result["profiles"], result["columns"]
    figures = {
        "packets": plots.draw_packets(profiles, result["max_packets"]),
        "times": plots.draw_times(profiles, columns),
        "lengths": plots.draw_lengths(profiles, columns),
    }
    shown: dict[str, str | None] = {}
    for name, figure in figures.items():
        if figure is None:  # flows without times
            shown[name] = None
            continue
        shown[name] = plots.png_of(figure) if name == "packets" else plots.svg_of(figure)
        if name != "packets":
            plots.leave_out_baselines(figure)
        for suffix in ("png", "pdf"):
            with replacing(folder / f"{name}.{suffix}") as scratch:
                plots.save_figure(figure, scratch, suffix)
    return shown


def headline(result: dict) -> str:
    """The main scores as lines of text in columns."""
    return headline_table(result).plain()


def headline_table(result: dict) -> TextTable:
    """The main scores: a row for each metric, a column for each set of flows that was evaluated."""
    rows = [row for row in headline_rows(result) if row["main"]]
    cells = [(f"{row['title']}, {row['unit']}", *map(format_score, row["values"])) for row in rows]
    return TextTable(("", *result["columns"]), cells)


def headline_rows(result: dict) -> list[dict]:
    """The lines of the headline table.

    Each has ``group`` (a heading, only in the first line of a group), ``title``, ``unit``, ``better``, ``values`` (one
    for each column, None where not measured), ``against_real`` (the synthetic score compared with the real one, in
    words) and ``main`` (False for the further scores of the metric above).
    """
    rows, group = [], None
    for name, metric in result["metrics"].items():
        heading = _GROUPS[metric["group"]] if metric["group"] != group else ""
        group = metric["group"]
        lines = [("overall", metric["title"], metric["better"]), *_SECONDARY.get(name, [])]
        for key, title, better in lines:
            values = [metric["columns"][column].get(key) for column in result["columns"]]
            found = dict(zip(result["columns"], values, strict=True))
            rows.append(
                {
                    "group": heading if key == "overall" else "",
                    "title": title,
                    "unit": metric["unit"] if key == "overall" else "",
                    "better": _ARROWS[better],
                    "values": values,
                    "against_real": _against_real(found["real"], found["synthetic"], better),
                    "main": key == "overall",
                    "plain": PLAIN_WORDS.get(name, "") if key == "overall" else "",
                    "formula": metric["formula"] if key == "overall" else "",
                    "source": metric["source"] if key == "overall" else "",
                }
            )
    return rows


def _summary(result: dict) -> str:
    """The three most important scores, as a sentence."""
    (jsd, jsd_real), (f1, f1_real), (excess, _) = (
        [result["metrics"][name]["columns"][column]["overall"] for column in ("synthetic", "real")]
        for name in ("flow_jsd", "tstr", "once_seen_copies")
    )
    low, high = result["metrics"]["tstr"]["columns"]["synthetic"]["interval"]
    copies = result["metrics"]["once_seen_copies"]["columns"]["synthetic"]
    return (
        f"A classifier trained on them reaches macro-F1 {f1:.3f} on real flows (95 %: {low:.3f} to {high:.3f}; "
        f"trained on real ones: {f1_real:.3f}); "
        f"packet by packet they are {jsd:.3f} bits from the test flows (real ones: {jsd_real:.3f}); "
        f"{copies['once_seen']:.1%} repeat a training flow that was seen once (unseen real ones: "
        f"{copies['unseen']['once_seen']:.1%}, an excess of {excess:.1f} points)."
    )


def _against_real(real: float | None, synthetic: float | None, better: str) -> str:
    if real is None or synthetic is None:
        return "–"
    if better == "lower" and real > 0:
        return f"{synthetic / real:.2f} ×"
    return f"{synthetic - real:+.3f}".replace("-", "−")


def _class_rows(result: dict) -> list[dict]:
    """Divergence, F1 and once-seen copies for each class of the test flows, synthetic next to real."""
    metrics = result["metrics"]
    shown = (("flow_jsd", "per_class"), ("tstr", "per_class"), ("once_seen_copies", "once_seen_per_class"))
    rows = []
    for label in metrics["flow_jsd"]["columns"]["real"]["per_class"]:
        cells = [
            metrics[name]["columns"][column][part].get(label)
            for name, part in shown
            for column in ("real", "synthetic")
        ]
        rows.append({"label": label, "cells": cells})
    return rows
