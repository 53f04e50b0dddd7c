"""What the page says of a model: its scores, its training and its limits, as Markdown."""

from __future__ import annotations

import json
from pathlib import Path

from hf_ntg.generation import FlowGenerator
from hf_ntg.privacy.guarantee import guarantee_in_words
from hf_ntg.report.origin import describe_model
from hf_ntg.report.pages import escape_markdown, format_score

__all__ = ["about_model"]

_SHOWN = ("flow_jsd", "ngram_jsd", "timing_distance", "tstr", "c2st", "once_seen_copies")


def about_model(generator: FlowGenerator, name: str) -> str:
    """Scores next to those of real flows and of a 4-gram, training, and limits of the model called `name`."""
    lines = [f"### {escape_markdown(name)}", ""]
    if generator.source is not None:
        lines += _scores(generator.source / "evaluation.json")
        lines += _training(generator.source)
    lines += [
        f"- Flows have up to {generator.max_packets} packets, in the view `{generator.view}`"
        + (" (packets that carry data)." if generator.view == "payload" else "."),
        "- Payload in the capture is noise, and its addresses are drawn from the networks given.",
        "- Some flows repeat a training flow; the line above the plots says how many.",
        f"- Differential privacy: {guarantee_in_words(generator.privacy) if generator.privacy else 'none'}.",
        "- The flows are as representative as the data that the model learned from.",
    ]
    return "\n".join(lines)


def _scores(path: Path) -> list[str]:
    if not path.is_file():
        return ["No scores are kept with this model; `ntg evaluate` computes them.", ""]
    found = json.loads(path.read_text(encoding="utf-8"))
    columns = [column for column in found["columns"] if column != "replay"]
    lines = [f"| score | {' | '.join(columns)} |", f"|---|{'--:|' * len(columns)}"]
    for name in _SHOWN:
        if name in found["metrics"]:
            metric = found["metrics"][name]
            better = {"lower": "↓", "higher": "↑", "real": "="}[metric["better"]]
            values = " | ".join(format_score(metric["values"].get(column)) for column in columns)
            lines.append(f"| {metric['title']}, {metric['unit']} {better} | {values} |")
    marks = "↓ lower is better, ↑ higher is better, = best as real."
    return [
        *lines,
        "",
        f"{marks} `real` is what real held-out flows reach, the best to expect. `4-gram` only counts.",
        "",
    ]


def _training(folder: Path) -> list[str]:
    run = describe_model(folder)
    if "flows" not in run:
        return []
    when = f" on {run['trained']}" if "trained" in run else ""
    family = f" ({run['family']})" if "family" in run else ""
    return [
        f"- Trained{when} on {run['flows']:,} flows of {run['classes']} classes, {run['epochs']} epochs{family}.",
    ]
