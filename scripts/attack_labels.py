"""Attacks by the names of classes: any text is kept exactly in every output, or refused with a reason."""

from __future__ import annotations

import csv
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from datasets import Dataset

from hf_ntg.flows import conform_flows, import_flows, load_flows, read_pcap, save_flows, write_pcap
from hf_ntg.generation import FlowGenerator
from hf_ntg.hub.publish import lay_out
from hf_ntg.hub.upload import Destination

__all__ = ["LABELS", "label_attack"]

LABELS = (
    "$\\frac$", "$x", "a$b$c", "=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "# heading", "| a | b |",
    "- yes", "yes", "null", "~", "!!python/object:os.system", "{{ 7 * 7 }}", "{% raw %}", "<script>alert(1)</script>",
    "a\0b", "", " ", " led", "end ", "x" * 5_000, "\u202eevil", "\u200b", "\ufeffweb", "a\nb", "a\r\nb", "a,b;c\"d'",
    "../../etc", "/etc/passwd", "C:\\x", "CON", "nul.txt", "web.", "Web", "é", "e\u0301", "\U0001f600", "%41", "<eos>",
    "[x](http://a)", "`code`", "---", "...", "key: value", "&amp;", "\\", "\x1b[31m", "1", "1.0", "nan", "None", "True",
    "\ud800", "\x7f", "\u2028", "NA", "inf", "2024-01-01", "0x10", "a" + "\u0300" * 50,
)  # fmt: skip
_OUTPUTS = ("parquet", "jsonl", "csv", "pcap", "pcapng", "per flow", "data set card")


def label_attack(setting: Any, scratch: Path, turn: int, rng: random.Random) -> tuple[str, Callable[[], str]]:
    """Write flows of a class with an odd name, and read the name back."""
    label, output = LABELS[turn % len(LABELS)], _OUTPUTS[(turn // len(LABELS) + turn) % len(_OUTPUTS)]
    actions: dict[str, Callable[[Any, Path, list[str]], str]] = {
        "per flow": _per_flow,
        "data set card": _card,
        "pcap": _capture,
        "pcapng": _capture,
    }
    action = actions.get(output, _table)
    return f"{ascii(label)[:30]} as {output}", lambda: action(setting, scratch / f"out.{output}", [label, "web"])


def _flows(labels: list[str]) -> Dataset:
    flow = {"payload_length": [100, 200], "direction": [1, -1], "inter_arrival_time": [0.0, 0.1], "protocol": 6}
    rows = [flow | {"label": label} for label in labels * 2]
    return conform_flows(pd.DataFrame(rows), "made")


def _table(setting: Any, path: Path, labels: list[str]) -> str:
    save_flows(_flows(labels), path)
    found = load_flows(path)["label"][:]
    return "" if found == labels * 2 else f"read back as {ascii(found[:2])[:60]}"


def _capture(setting: Any, path: Path, labels: list[str]) -> str:
    write_pcap(_flows(labels), path)
    with path.with_suffix(".flows.csv").open(newline="", encoding="utf-8") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    formulas = [cell for cell in cells if cell[:1] in "=+-@\t\r" and cell and not re.fullmatch(r"[+-]?[\d.e+-]+", cell)]
    if formulas:
        return f"a formula in the side table: {ascii(formulas[0])[:40]}"
    if path.suffix == ".pcapng":
        found = sorted(read_pcap(path)["label"])
    else:
        import_flows([path], path.with_suffix(".parquet"))
        found = sorted(name or "" for name in load_flows(path.with_suffix(".parquet"))["label"])
    return "" if found == sorted(labels * 2) else f"read back as {ascii(found[:2])[:60]}"


def _per_flow(setting: Any, path: Path, labels: list[str]) -> str:
    folder = path.with_suffix("")
    write_pcap(_flows(labels), folder, per_flow=True)
    names = [one.name for one in folder.iterdir()]
    inside = all(one.is_dir() and one.resolve().parent == folder.resolve() for one in folder.iterdir())
    return "" if len(names) == len({name.casefold() for name in names}) == 2 and inside else f"folders {names}"


def _card(setting: Any, path: Path, labels: list[str]) -> str:
    source = path.with_suffix(".parquet")
    save_flows(FlowGenerator.from_pretrained(setting.models["gpt2"]).generate(4, seed=1), source)
    table = pq.read_table(source)
    labels = [label.encode("utf-8", "replace").decode() for label in labels]  # Parquet holds nothing else
    place = table.column_names.index("label")
    pq.write_table(table.set_column(place, "label", pa.array(labels * 2, pa.string())), source)
    folder = path.with_suffix("")
    lay_out(str(source), folder, Destination("org/name"), license="mit", report=None, trained_on=None)
    front = (folder / "README.md").read_text(encoding="utf-8").split("\n---\n")[0]
    if not isinstance(yaml.safe_load(front.removeprefix("---\n")), dict):
        return "the card's front matter is no mapping"
    found = sorted(load_flows(folder)["label"])
    return "" if found == sorted(labels * 2) else f"read back as {ascii(found[:2])[:60]}"
