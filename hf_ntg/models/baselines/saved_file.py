"""Reads the saved file of a baseline after a check: types, sizes, ranges, and whether its parts agree.

The file may come from a stranger. Its header is checked against the size of the file before a tensor is read, so that
memory stays within that size. What passes draws legal flows in bounded time.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from hf_ntg.flows.schema import MAX_PAYLOAD
from hf_ntg.model_files.fields import MAX_PACKETS, Rule, check_fields, complain, labels, short_reason, without_repeats
from hf_ntg.model_files.weights import tensor_table
from hf_ntg.models.baselines.counts import RADIX, CountTable
from hf_ntg.models.baselines.ngram import END, START
from hf_ntg.models.baselines.private_ngram import SYMBOLS, PrivateNGram, fault_of
from hf_ntg.ranges import Range

__all__ = ["SavedBaseline", "read_baseline"]

_ORDERS = Range(1, 9, whole=True)
_MAX_COUNT = 10**15
_MAX_SECONDS = 1e12
_MAX_WINDOW = 65_535 << 14  # RFC 7323: the largest shift of a window
_TYPES = {"F32": np.float32, "F64": np.float64, "I8": np.int8, "I32": np.int32, "I64": np.int64}


@dataclass(frozen=True)
class SavedBaseline:
    """What the file of a baseline holds.

    Attributes:
        kind: name of its class, see :data:`hf_ntg.models.baselines.BASELINES`. max_packets, labels, view: see
            :class:`hf_ntg.models.baselines.Baseline`. tensors: its arrays by name.
    """

    path: Path
    kind: str
    max_packets: int
    labels: list[str]
    view: str
    tensors: dict[str, np.ndarray]


@dataclass(frozen=True)
class _Numbers:
    """The rule of one tensor: its type, its range, and the group of tensors that are equally long."""

    dtype: str
    low: float
    high: float
    group: str = ""


def read_baseline(path: Path) -> SavedBaseline:
    """Read the file that :meth:`hf_ntg.models.baselines.Baseline.save` wrote.

    Raises:
        InputError: it is missing or damaged, or holds numbers that no fitted baseline has.
    """
    _, header, metadata = tensor_table(path)
    head = _head(path, metadata.get("hf_ntg", ""))
    saved = SavedBaseline(path, head["kind"], head["max_packets"], head["labels"], head.get("view", "all"), {})
    rules = _rules(saved, header)
    _check_names(path, header, rules)
    saved.tensors.update(load_file(path))
    for name, rule in rules.items():
        _check_numbers(path, name, saved.tensors[name], rule)
    weights = saved.tensors["label_weights"]
    if weights.shape != (len(saved.labels),) or abs(weights.sum() - 1) > 1e-6:
        raise complain(path, "label_weights are not the shares of its classes")
    for check in _CHECKS[saved.kind]:
        check(saved)
    return saved


def _head(path: Path, text: str) -> dict[str, Any]:
    try:
        head = json.loads(text, object_pairs_hook=without_repeats)
    except (ValueError, RecursionError) as error:
        raise complain(path, f"holds no baseline: {short_reason(error)}") from error
    if not isinstance(head, dict):
        raise complain(path, "holds no baseline")
    needed: dict[str, Rule] = {
        "kind": tuple(_CHECKS),
        "max_packets": Range(1, MAX_PACKETS, whole=True),
        "labels": lambda value: labels(value) and None not in value,
    }
    check_fields(path, head, needed, {"view": ("payload", "all")})
    return head


def _rules(saved: SavedBaseline, header: dict[str, Any]) -> dict[str, _Numbers]:
    """The rule of each tensor that a baseline of this kind has, with those optional ones that the file names."""
    classes = len(saved.labels)
    rules = {"label_weights": _Numbers("F64", 0, 1)}
    if saved.kind in ("replay", "independent"):
        needed, optional = _empirical_rules(saved)
    elif saved.kind == PrivateNGram.kind:
        needed, optional = _private_rules()
    else:
        needed, optional = _donor_rules("header_donors", 2), {}
        needed["header_donors.1.keys"] = _Numbers("I64", 0, classes - 1, "header_donors")
        optional |= {f"headers.{name}": rule for name, rule in _header_rules("header_donors").items()}
    if saved.kind == "smote":
        needed |= {"points": _Numbers("F32", -10, 10), "classes": _Numbers("I64", 0, classes - 1, "header_donors")}
    elif saved.kind == "cvae":
        least = 2 if saved.view == "payload" else 0
        needed |= {"words": _Numbers("I32", least, END - 1), "time_knots": _Numbers("F64", 1e-30, _MAX_SECONDS)}
        needed |= {name: _Numbers("F32", -1e30, 1e30) for name in header if name.startswith("network.")}
    elif saved.kind in ("n-gram", "tuned-n-gram"):
        needed["scale"] = _Numbers("F64", 0, 10)
        needed |= _count_rules(header)
        if "times" in header:
            needed |= _donor_rules("time_donors", 3)
            needed["times"] = _Numbers("F32", 0, _MAX_SECONDS, "time_donors")
            needed["time_donors.2.keys"] = _Numbers("I64", 0, classes - 1, "time_donors")
    return rules | needed | {name: rule for name, rule in optional.items() if name in header}


def _empirical_rules(saved: SavedBaseline) -> tuple[dict[str, _Numbers], dict[str, _Numbers]]:
    """Rules of the tensors of a baseline that keeps its training flows."""
    shortest = 1 if saved.view == "payload" else 0
    needed = {
        "classes": _Numbers("I64", 0, len(saved.labels) - 1, "flows"),
        "offsets": _Numbers("I64", 0, 2**40),
        "payload_length": _Numbers("I32", shortest, MAX_PAYLOAD, "packets"),
        "direction": _Numbers("I8", -1, 1, "packets"),
    }
    optional = {
        "inter_arrival_time": _Numbers("F32", 0, _MAX_SECONDS, "packets"),
        "tcp_window": _Numbers("I32", 0, _MAX_WINDOW, "packets"),
        "packet_count": _Numbers("I32", -1, 2**31 - 1, "flows"),
        **_header_rules("flows"),
    }
    return needed, optional


def _private_rules() -> tuple[dict[str, _Numbers], dict[str, _Numbers]]:
    share = _Numbers("F32", 0, 1.001)
    needed = {
        "frequent": _Numbers("I64", -1, SYMBOLS - 1),
        "shares": _Numbers("F64", 0, 1.001),
        "following": share,
        "privacy": _Numbers("F64", 0, 1e15),
    }
    return needed, {"times": share, "headers": share}


def _header_rules(group: str) -> dict[str, _Numbers]:
    port = _Numbers("I32", -1, 65_535, group)
    return {"protocol": _Numbers("I32", -1, 255, group), "source_port": port, "destination_port": port}


def _donor_rules(prefix: str, levels: int) -> dict[str, _Numbers]:
    """Rules of a :class:`hf_ntg.models.baselines.donors.DonorTable`."""
    rule = _Numbers("I64", 0, 2**62, prefix)
    return {f"{prefix}.{level}.{part}": rule for level in range(levels) for part in ("keys", "rows")}


def _count_rules(header: dict[str, Any]) -> dict[str, _Numbers]:
    """Rules of the tables of an n-gram, of which there are the order and two."""
    levels = {int(found[1]) for name in header if (found := re.match(r"tables\.(\d{1,2})\.", name))}
    rules = {}
    for level in range(max(levels, default=0) + 1):
        rules[f"tables.{level}.contexts"] = _Numbers("I64", 0, 2**62)
        rules[f"tables.{level}.pairs"] = _Numbers("I64", 0, 2**62, f"pairs {level}")
        rules[f"tables.{level}.counts"] = _Numbers("I64", 1, _MAX_COUNT, f"pairs {level}")
    return rules


def _check_names(path: Path, header: dict[str, Any], rules: dict[str, _Numbers]) -> None:
    """The file has exactly the tensors of `rules`, in their types, and those of a group are equally long."""
    for name in rules:
        if name not in header:
            raise complain(path, f"the tensor {name} is missing")
    lengths: dict[str, int] = {}
    for name, entry in header.items():
        if name not in rules:
            raise complain(path, f"{ascii(name)[:60]} is no tensor of this baseline")
        rule, shape = rules[name], entry["shape"]
        if entry["dtype"] != rule.dtype:
            raise complain(path, f"{name} is {entry['dtype']}, not {rule.dtype}")
        if name != "points" and not name.startswith("network.") and len(shape) != 1:
            raise complain(path, f"{name} has {len(shape)} dimensions, not 1")
        if rule.group and lengths.setdefault(rule.group, shape[0]) != shape[0]:
            raise complain(path, f"{name} has {shape[0]:,} entries, where others of its rows have another number")


def _check_numbers(path: Path, name: str, values: np.ndarray, rule: _Numbers) -> None:
    if values.dtype != _TYPES[rule.dtype]:
        raise complain(path, f"{name} is {values.dtype}")
    if not values.size and name != "time_knots":
        raise complain(path, f"{name} is empty")
    if values.size and not (values.min() >= rule.low and values.max() <= rule.high):  # NaN fails too
        raise complain(path, f"{name} has numbers outside {rule.low:g} to {rule.high:g}")


def _check_flows(saved: SavedBaseline) -> None:
    """Each training flow of a replay has 1 to max_packets packets, and each class has a flow."""
    path, tensors = saved.path, saved.tensors
    offsets, packets = tensors["offsets"], len(tensors["payload_length"])
    lengths = np.diff(offsets)
    if len(lengths) != len(tensors["classes"]) or offsets[0] != 0 or offsets[-1] != packets:
        raise complain(path, "offsets do not divide its packets among its flows")
    if not (lengths >= 1).all() or not (lengths <= saved.max_packets).all():
        raise complain(path, f"a flow of less than 1 or more than {saved.max_packets} packets")
    if (tensors["direction"] == 0).any():
        raise complain(path, "a direction that is neither 1 nor -1")
    counted = tensors.get("packet_count")
    if counted is not None and ((counted >= 0) & (counted < lengths)).any():
        raise complain(path, "a packet_count below the packets of its flow")
    _check_classes(saved, "classes")


def _check_headers(saved: SavedBaseline) -> None:
    _check_donors(saved, "header_donors", 2)


def _check_donors(saved: SavedBaseline, prefix: str, levels: int) -> None:
    """Keys never fall, rows exist, and the last level knows every class."""
    for level in range(levels):
        keys, rows = (saved.tensors[f"{prefix}.{level}.{part}"] for part in ("keys", "rows"))
        if (np.diff(keys) < 0).any() or rows.max() >= len(rows):
            raise complain(saved.path, f"{prefix} name rows that do not exist, or are not in order")
    _check_classes(saved, f"{prefix}.{levels - 1}.keys")


def _check_classes(saved: SavedBaseline, name: str) -> None:
    if len(np.unique(saved.tensors[name])) != len(saved.labels):
        raise complain(saved.path, f"{name}: a class without a training flow")


def _check_points(saved: SavedBaseline) -> None:
    points = saved.tensors["points"]
    widths = (3 * saved.max_packets, 4 * saved.max_packets)
    if points.ndim != 2 or points.shape[1] not in widths or len(points) != len(saved.tensors["classes"]):
        raise complain(saved.path, f"points have shape {points.shape}, which its flows do not")
    length = points[:, 2 * saved.max_packets : 3 * saved.max_packets]
    if np.square(length, dtype=np.float64).max() * 1_460 > MAX_PAYLOAD + 1 or points.max() > 7:
        raise complain(saved.path, "points beyond the largest payload")
    time = points[:, widths[0] :]
    if time.size and time.max() > 3:
        raise complain(saved.path, "points with times beyond those of flows")
    _check_classes(saved, "classes")


def _check_network(saved: SavedBaseline) -> None:
    """The network has the shapes of :class:`hf_ntg.models.baselines.cvae.Cvae`; words and knots are in order."""
    words, knots = saved.tensors["words"], saved.tensors["time_knots"]
    parts = 9  # numbers of a time bin, see hf_ntg.codecs.time_bins
    if (np.diff(words) <= 0).any() or (np.diff(knots) < 0).any() or len(knots) % parts:
        raise complain(saved.path, "words or time_knots are not in order")
    times = len(knots) // parts + 1
    width, classes, hidden = saved.max_packets, len(saved.labels), 512
    wanted: dict[str, tuple[int, ...]] = {
        "label.weight": (classes, 32),
        "prior.weight": (classes, 64),
        "word.weight": (len(words) + 1, 32),
        "time.weight": (times, 16),
    }
    layers = {
        "encoder.0": (hidden, 48 * width + 32),
        "encoder.2": (hidden, hidden),
        "encoder.4": (64, hidden),
        "decoder.0": (hidden, 64),
        "decoder.2": (hidden, hidden),
        "decoder.4": (96 * width, hidden),
        "to_words": (len(words) + 1, 64),
        "to_times": (times, 32),
    }
    for name, shape in layers.items():
        wanted |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    found = {name: values.shape for name, values in saved.tensors.items() if name.startswith("network.")}
    if found != {f"network.{name}": shape for name, shape in wanted.items()}:
        raise complain(saved.path, "its network has other layers or shapes than its settings ask for")


def _check_counts(saved: SavedBaseline) -> None:
    """The tables of an n-gram are sorted, each context has a symbol, and no flow is sure to end before it begins."""
    path, tensors, least = saved.path, saved.tensors, 2 if saved.view == "payload" else 0
    levels = sum(name.startswith("tables.") for name in tensors) // 3
    if not _ORDERS.holds(levels - 2):
        raise complain(path, f"an n-gram of order {levels - 2}")
    tables = []
    for level in range(levels):
        contexts, pairs, counts = (tensors[f"tables.{level}.{part}"] for part in ("contexts", "pairs", "counts"))
        table = CountTable(contexts, pairs, counts)
        symbols, rows = table.pairs % RADIX, table.pairs // RADIX
        if (np.diff(table.contexts) <= 0).any() or (np.diff(table.pairs) <= 0).any():
            raise complain(path, f"table {level} is not in order")
        if not np.array_equal(np.unique(rows), np.arange(len(table.contexts))):
            raise complain(path, f"table {level} has contexts that nothing follows")
        if symbols.min() < least or symbols.max() > END or table.counts.sum(dtype=np.float64) > 2**52:
            raise complain(path, f"table {level} counts packets that do not exist")
        tables.append(table)
    _check_first_packets(saved, tables)
    if "times" in tensors:
        _check_donors(saved, "time_donors", 3)


def _check_first_packets(saved: SavedBaseline, tables: list[CountTable]) -> None:
    """For each class, the longest context of the first packet knows no end of the flow.

    Then a packet is drawn with a probability of at least 0.01, and drawing ends.
    """
    classes = np.arange(len(saved.labels))
    items = [0 * classes, classes, *[np.full(len(classes), START)] * (len(tables) - 3), 0 * classes]
    rows, longest = np.zeros_like(classes), np.full(len(classes), -1)
    for table, item in zip(tables, items, strict=True):
        rows = table.rows_of(rows, item)
        known = np.flatnonzero(rows >= 0)
        ends = np.isin(rows[known] * RADIX + END, table.pairs)
        longest[known] = ends
    if (longest > 0).any():
        raise complain(saved.path, "a class whose flows end before their first packet")


def _check_private(saved: SavedBaseline) -> None:
    if wrong := fault_of(saved.tensors, len(saved.labels), saved.max_packets, saved.view):
        raise complain(saved.path, wrong)


_CHECKS = {
    "replay": (_check_flows,),
    "independent": (_check_flows,),
    "smote": (_check_headers, _check_points),
    "cvae": (_check_headers, _check_network),
    "n-gram": (_check_headers, _check_counts),
    "tuned-n-gram": (_check_headers, _check_counts),
    PrivateNGram.kind: (_check_private,),
}
