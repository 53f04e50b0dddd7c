"""Scores of a study: each measure compared with real flows, and averaged over seeds with a confidence interval."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from scipy import stats

from hf_ntg.study.plan import FRESH, NONE, REAL

__all__ = ["CONFIDENCE", "REACHED", "Score", "scores_of", "time_to_fidelity"]

CONFIDENCE = 0.95
REACHED = 1.25  # times the divergence of real flows: the stated fidelity of "time to fidelity"
_HEAD = ("axis", "flows", "by", "seed", "model")
_NOT_DETAIL = (*_HEAD, "measures", "details", "notes", "made")


@dataclass(frozen=True)
class Score:
    """One measure of one generator under one setting, over seeds.

    Attributes:
        place: what was measured: axis, flows, by, model, measure and the details of the axis.
        values: one for each seed, in order of seeds.
    """

    place: dict[str, Any]
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        return sum(self.values) / len(self.values)

    @property
    def half_width(self) -> float | None:
        """Half the width of the 95 % confidence interval of the mean (Student's t over seeds); None for one seed."""
        count = len(self.values)
        if count < 2:
            return None
        spread = math.sqrt(sum((value - self.mean) ** 2 for value in self.values) / (count - 1))
        return float(stats.t.ppf(0.5 + CONFIDENCE / 2, count - 1)) * spread / math.sqrt(count)


def scores_of(rows: Iterable[dict]) -> list[Score]:
    """All measures of all runs, collected over seeds.

    Comparisons with another run of the same seed are added: ``flow_jsd.ratio`` (divided by that of real flows),
    ``gap_points`` (100 times the macro-F1 after training on real flows, minus this one) and, with few labels,
    ``gain_points`` (100 times the macro-F1 minus that of the few flows alone) and ``gain_percent`` (the same, relative
    to the few flows alone).
    """
    rows = list(rows)
    known = {_key(row): row["measures"] for row in rows}
    values: dict[tuple, dict[int, float]] = defaultdict(dict)
    places = {}
    for row in rows:
        place = {name: row[name] for name in ("axis", "flows", "by", "model")} | _detail(row)
        for measure, value in (row["measures"] | _comparisons(row, known)).items():
            if value is not None:
                whole = place | {"measure": measure}
                key = tuple(sorted((name, str(part)) for name, part in whole.items()))
                places[key] = whole
                values[key][row["seed"]] = value
    return [Score(places[key], tuple(found[seed] for seed in sorted(found))) for key, found in values.items()]


def time_to_fidelity(rows: Iterable[dict]) -> list[Score]:
    """CPU seconds of the shortest training whose divergence is within `REACHED` times that of real flows.

    A generator has a score only if every seed reaches this at some budget. Otherwise the mean would leave out the
    slowest seeds.
    """
    rows = list(rows)
    known = {_key(row): row["measures"] for row in rows}
    best: dict[tuple, dict[int, float]] = defaultdict(dict)
    tried: dict[tuple, set[int]] = defaultdict(set)
    for row in rows:
        if row["axis"] != "training-length":
            continue
        tried[row["flows"], row["by"], row["model"]].add(row["seed"])
        ratio, cost = _comparisons(row, known).get("flow_jsd.ratio"), row["measures"]["training_cpu_seconds"]
        if ratio is not None and cost is not None and ratio <= REACHED:
            seeds = best[row["flows"], row["by"], row["model"]]
            seeds[row["seed"]] = min(cost, seeds.get(row["seed"], math.inf))
    return [
        Score(
            {"axis": "efficiency", "flows": flows, "by": by, "model": model, "measure": "seconds_to_fidelity"},
            tuple(found[seed] for seed in sorted(found)),
        )
        for (flows, by, model), found in best.items()
        if found.keys() == tried[flows, by, model]
    ]


def _detail(row: dict) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in _NOT_DETAIL}


def _key(row: dict, **changed: Any) -> tuple:
    whole = {name: value for name, value in row.items() if name not in _NOT_DETAIL or name in _HEAD} | changed
    return tuple(sorted((name, str(value)) for name, value in whole.items()))


def _comparisons(row: dict, known: dict[tuple, dict]) -> dict[str, float]:
    """Measures that compare the run `row` with a reference run of the same seed in `known`."""
    measures = row["measures"]
    if row["axis"] == "fidelity":
        real = known.get(_key(row, model=REAL), {})
        return _ratio_to_real(measures, real)
    if row["axis"] in ("training-length", "sampling"):
        place = {name: row[name] for name in ("flows", "by", "seed")}
        real = known.get(_key({"axis": "fidelity", "model": REAL, **place}), {})
        return _ratio_to_real(measures, real)
    if row["axis"] == "synthetic-only":
        trained_on_real = known.get(_key(row, model=REAL, times=1))
        if trained_on_real is None:
            return {}
        return {"gap_points": _points_below(trained_on_real, measures)}
    if row["axis"] == "privacy":
        trained_on_real = known.get(_key(row, model=REAL, epsilon=NONE, start=FRESH))
        return {} if trained_on_real is None else {"gap_points": _points_below(trained_on_real, measures)}
    if row["axis"] == "augmentation":
        return _gain(measures, known.get(_key(row, model=NONE, protocol=NONE)))
    return {}


def _points_below(real: dict, measures: dict) -> float:
    return 100 * (real["macro_f1"] - measures["macro_f1"])


def _ratio_to_real(measures: dict, real: dict) -> dict[str, float]:
    found = {}
    if real.get("flow_jsd"):
        found["flow_jsd.ratio"] = measures["flow_jsd"] / real["flow_jsd"]
    return found


def _gain(measures: dict, few: dict | None) -> dict[str, float]:
    found = {}
    for name in (name for name in measures if name.endswith(".macro_f1")):
        if few is None or not few.get(name):
            continue
        classifier = name.removesuffix(".macro_f1")
        found[f"{classifier}.gain_points"] = 100 * (measures[name] - few[name])
        found[f"{classifier}.gain_percent"] = 100 * (measures[name] / few[name] - 1)
    return found
