"""Write random flows as tables in random conventions, import them, and compare: the values must be the same.

A convention is drawn for each table: format (CSV with any separator, JSON lines, JSON array, Parquet), packing, how
directions are written, what stands behind the last packet, gaps, time stamps or dates in any unit, how lists are
written (JSON, separators, printed arrays, decimal commas), encoding and line ends, and a label column or a label table.
Every table comes from the seed and its number.

    python scripts/fuzz_tables.py --count 1000 --seed 0
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import random
import sys
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from fuzzing import Case, count_failures, run_from_command_line

from hf_ntg.flows import load_flows
from hf_ntg.flows.importing import import_flows
from hf_ntg.flows.labelling.labels import LabelRules
from hf_ntg.flows.reading_options import ReadingOptions
from hf_ntg.flows.table_in.tabular import parse_columns

DIRECTIONS = {
    "signs": (1, -1), "0 and 1": (0, 1), "1 and 0": (1, 0), "1 and 2": (1, 2), "out and in": ("out", "in"),
    "forward and backward": ("fwd", "bwd"), "C2S and S2C": ("C2S", "S2C"), "arrows": ("->", "<-"), "signed": (1, -1),
    "declared": ("red", "blue"), "ends": ("C->S", "S->C"), "to ends": ("to_server", "to_client"), "letters": ("c", "s"),
    "truth": (True, False), "sites": ("L2R", "R2L"), "unicode": ("→", "←"),
}  # fmt: skip
UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
PADS = (None, None, -1, 0, float("nan"))
LABELS = ("web", "voice call", "=cmd|'x'", "a;b,c\t|d", 'quote "q"', "µ-service", " padded ", "5", "x" * 300)
PACKINGS = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be")
LISTS = ("json", "blanks", "python", "numpy", "array", "decimal commas")
FORMATS = (".csv", ".tsv", ".jsonl", ".json", ".parquet")


def made_flows(rng: random.Random) -> list[dict]:
    """Flows whose first packet is the initiator's, and whose gaps are whole microseconds."""
    flows = []
    for number in range(rng.randint(5, 40)):
        size = rng.randint(1, 12)
        flows.append({
            "length": [rng.choice((1, 40, 517, 1448, rng.randint(2, 65_535))) for _ in range(size)],
            "direction": [1] + [rng.choice((1, -1)) for _ in range(size - 1)],
            "gap": [0.0] + [rng.choice((1e-4, 0.0123, rng.randint(1, 2_000_000) / 1e6)) for _ in range(size - 1)],
            "window": [rng.randint(0, 65_535) for _ in range(size)],
            "label": rng.choice((*LABELS, None)),
            "source_port": 1_024 + number,
        })  # fmt: skip
    flows[0].update(length=[5, 6], direction=[1, -1], gap=[0.0, 0.25], window=[1, 2])  # both directions occur
    return flows


def written(flows: list[dict], rng: random.Random, folder: Path) -> tuple[Path, list[str], LabelRules, str]:
    """The flows as a table, the columns to declare, the rules for labels, and the convention in words."""
    way, pad, suffix = rng.choice(list(DIRECTIONS)), rng.choice(PADS), rng.choice(FORMATS)
    unit, stamps = rng.choice(list(UNITS)), rng.random() < 0.3
    dates = stamps and rng.random() < 0.4
    packing = "" if suffix == ".parquet" else rng.choice(list(PACKINGS))
    width = max(len(flow["length"]) for flow in flows) + rng.randint(0, 3)
    up, down = DIRECTIONS[way]
    columns = {"payload_length": [], "dir": [], "t": [], "tcp_window": []}
    for flow in flows:
        signs = flow["direction"]
        lists = {
            "payload_length": [n * s for n, s in zip(flow["length"], signs, strict=True)] if way == "signed"
            else flow["length"],
            "dir": [up if sign > 0 else down for sign in signs],
            "t": date_texts(flow["gap"]) if dates else times(flow["gap"], unit, 1_700_000_000 if stamps else None),
            "tcp_window": flow["window"],
        }  # fmt: skip
        for name, values in lists.items():
            is_text = (isinstance(up, str) and name == "dir") or (dates and name == "t")
            behind = "" if is_text else 0 if name == "tcp_window" else pad
            columns[name].append(values if pad is None else values + [behind] * (width - len(values)))
    if way == "signed":
        del columns["dir"]
        if pad == -1:
            return written(flows, rng, folder)  # an entry of -1 may be a packet
    unit = "dates" if dates else unit
    declared = [f"{'timestamp' if stamps else 'inter_arrival_time'}=t" + ("" if dates else f":{unit}")]
    if way != "signed":
        declared.append("direction=dir:red/blue" if way == "declared" else "direction=dir")
    columns["source_port"] = [flow["source_port"] for flow in flows]
    rules = LabelRules()
    if rng.random() < 0.3:
        columns |= {"source": ["10.0.0.1"] * len(flows), "destination": ["10.0.0.2"] * len(flows)}
        columns |= {"destination_port": [443] * len(flows), "protocol": rng.choice(([6], ["tcp"])) * len(flows)}
        rules = LabelRules(table=label_table(flows, rng, folder))
    else:
        columns["label"] = [flow["label"] for flow in flows]
    path = folder / f"table{suffix}{packing}"
    write(columns, path, suffix, PACKINGS[packing], rng)
    return path, declared, rules, f"{suffix}{packing} {way} pad {pad} {'stamps' if stamps else 'gaps'} in {unit}"


def times(gaps: list[float], unit: str, begin: int | None) -> list[float]:
    if begin is None:
        return [gap * UNITS[unit] for gap in gaps]
    stamps = begin + np.cumsum(gaps)
    return (
        (stamps * UNITS[unit]).tolist() if unit in ("s", "ms") else [round(float(one) * UNITS[unit]) for one in stamps]
    )


def date_texts(gaps: list[float]) -> list[str]:
    """Dates with microseconds, in a time zone of two hours."""
    begin = datetime(2023, 11, 14, 22, 13, 20, tzinfo=timezone(timedelta(hours=2)))
    return [(begin + timedelta(microseconds=round(float(time) * 1e6))).isoformat() for time in np.cumsum(gaps)]


def label_table(flows: list[dict], rng: random.Random, folder: Path) -> Path:
    """A table of 5-tuples, either way round, with some lines that fit nothing."""
    path = folder / "labels.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, delimiter=rng.choice(",;"))
        rows.writerow(["source", "source_port", "destination", "destination_port", "protocol", "label"])
        rows.writerow(["10.0.0.300", 1, "10.0.0.2", 443, 6, "wrong"])
        rows.writerow(["10.0.0.9", 1, "10.0.0.2", 443, 6, "idle"])
        for flow in flows:
            ends = [("10.0.0.1", flow["source_port"]), ("10.0.0.2", 443)]
            rng.shuffle(ends)
            rows.writerow([*ends[0], *ends[1], rng.choice(("6", "tcp", "TCP")), flow["label"] or ""])
    return path


def write(columns: dict[str, list], path: Path, suffix: str, pack, rng: random.Random) -> None:
    rows = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
    if suffix == ".parquet":
        fixed = {name: arrow_column(cells) for name, cells in columns.items()}
        pq.write_table(pa.table(fixed), path)
        return
    if suffix == ".jsonl":
        text = "".join(json.dumps(row) + "\n" for row in rows)
    elif suffix == ".json":
        text = json.dumps(rows)
    else:
        out = io.StringIO()
        table = csv.writer(out, delimiter="\t" if suffix == ".tsv" else rng.choice(",;|"))
        table.writerow(columns)
        way = rng.choice(LISTS)
        for row in rows:
            table.writerow([cell_text(cell, way) for cell in row.values()])
        text = rng.choice(("", "", "# made by a tool\r\n")) + out.getvalue()
        text = text.replace("\r\n", rng.choice(("\r\n", "\n")))
    path.write_bytes(pack(text.encode(rng.choice(ENCODINGS))))


def arrow_column(cells: list) -> list:
    """Cells that Arrow can write: the lists of a column are of texts, of whole numbers, or of floats alone."""
    if any(isinstance(one, bool) for cell in cells if isinstance(cell, list) for one in cell):
        cells = [[int(one) if isinstance(one, bool) else one for one in cell] for cell in cells]
    kinds = {type(one) for cell in cells if isinstance(cell, list) for one in cell}
    if str in kinds:
        return [["" if one is None else one for one in cell] for cell in cells]
    if float in kinds:
        return [[None if one is None else float(one) for one in cell] for cell in cells]
    return cells


def cell_text(cell: object, way: str) -> object:
    if not isinstance(cell, list):
        return cell
    has_text = any(isinstance(one, str) for one in cell)
    if way == "json" or (has_text and way != "python"):
        return json.dumps(cell)
    if way == "python":
        return str(cell)
    if way in ("numpy", "array"):
        numbers = [float("nan") if one is None else one for one in cell]
        is_whole = all(isinstance(one, int) for one in numbers)
        array = np.array(numbers, np.int64 if is_whole else np.float64)
        with np.printoptions(threshold=10**6, precision=17, linewidth=60):
            return repr(array) if way == "array" else str(array)
    if len(cell) == 1 or way == "blanks":
        return json.dumps(cell) if len(cell) == 1 else " ".join(map(str, cell))
    return "[" + "; ".join(str(one).replace(".", ",") for one in cell) + "]"


def differences(flows: list[dict], path: Path, declared: list[str], rules: LabelRules, folder: Path) -> list[str]:
    """What the import of the table at `path` has other than `flows`."""
    options = ReadingOptions(labels=rules, columns=parse_columns(declared))
    report = import_flows([path], folder / "out.parquet", options)
    found = load_flows(folder / "out.parquet").to_list()
    if len(found) != len(flows):
        return [f"{len(found)} flows of {len(flows)}: {report.remarks()}"]
    wrong = Counter()
    for flow, row in zip(flows, found, strict=True):
        wrong["payload_length"] += row["payload_length"] != flow["length"]
        wrong["direction"] += row["direction"] != flow["direction"]
        wrong["gaps"] += not np.allclose(row["inter_arrival_time"], flow["gap"], rtol=1e-5, atol=2e-6)
        wrong["tcp_window"] += row["tcp_window"] != flow["window"]
        wrong["label"] += row["label"] != flow["label"]
        wrong["source_port"] += row["source_port"] != flow["source_port"]
        wrong["packet_count"] += row["packet_count"] != len(flow["length"])
    return [f"{name} differs in {count} of {len(flows)} flows" for name, count in wrong.items() if count]


def made_case(rng: random.Random, folder: Path) -> Case:
    """A random table, and its judgement."""
    flows = made_flows(rng)
    path, declared, rules, convention = written(flows, rng, folder)
    return str(convention), lambda: differences(flows, path, declared, rules, folder)


def run(count: int, seed: int) -> int:
    """Try `count` tables; print and count those that are read wrongly."""
    return count_failures("table", made_case, count, seed)


if __name__ == "__main__":
    sys.exit(run_from_command_line(__doc__, run))
