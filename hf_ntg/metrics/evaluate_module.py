"""The metrics as modules of Hugging Face `evaluate`. Importing this imports `evaluate`, and with it transformers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import evaluate
from datasets import Dataset, Features, concatenate_datasets

from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.schema import FLOW_FEATURES, REQUIRED_COLUMNS, conform_flows
from hf_ntg.metrics.info import MetricInfo

__all__ = ["FlowMetric", "metric_class"]

_FLOWS = Features({name: FLOW_FEATURES[name] for name in REQUIRED_COLUMNS})
_SIDES = {"references": "real", "predictions": "synthetic"}  # evaluate's names, and the names in this package

_INPUTS = """
Args:
    references (or real): real flows. predictions (or synthetic): synthetic flows. Each is a `datasets.Dataset` in the
        schema of hf_ntg, a dictionary of columns, or a list of flows, each a dictionary. The sides may differ in size.
    **options: those of the plain function.
"""


class FlowMetric(evaluate.Metric, ABC):
    """An `evaluate` metric over two flow tables.

    ``compute(references=…, predictions=…)`` takes whole tables. Flows may also come in parts, by ``add`` and
    ``add_batch``; ``compute()`` then uses all that were added and forgets them. Parts are kept in memory, in this
    process; the two sides may have different sizes. The class is abstract so that `evaluate.load` does not take it for
    the metric of a module that imports it.
    """

    @property
    @abstractmethod
    def metric(self) -> MetricInfo:
        """The metric; a plain class attribute in each subclass."""

    def _info(self) -> evaluate.MetricInfo:
        low, high = ("any" if end is None else end for end in self.metric.range)
        return evaluate.MetricInfo(
            description=f"{self.metric.title}: {self.metric.formula}. Unit: {self.metric.unit}; "
            f"range: {low} to {high}; better: {self.metric.better}.",
            citation=self.metric.source,
            inputs_description=_INPUTS,
            features=Features(dict.fromkeys(_SIDES, _FLOWS)),
        )

    def compute(self, *, predictions=None, references=None, real=None, synthetic=None, **options) -> dict:
        """Compute the metric; see the plain function for the result.

        Raises:
            ValueError: a side is missing, or was given both here and in parts.
        """
        given = _sides(predictions, references, real, synthetic)
        added = self._take_added()
        twice = [_SIDES[side] for side in given if side in added]
        if twice:
            raise ValueError(f"{self.metric.name}: {twice[0]} flows were added in parts; compute() takes no others")
        given |= {side: concatenate_datasets(parts) for side, parts in added.items()}
        missing = [name for side, name in _SIDES.items() if side not in given]
        if missing:
            raise ValueError(f"{self.metric.name}: give {' and '.join(missing)}")
        return self.metric.compute(*(_as_flows(given[side], name) for side, name in _SIDES.items()), **options)

    def add_batch(self, *, predictions=None, references=None, real=None, synthetic=None) -> None:
        """Keep flows for the next ``compute()``, of one side or of both."""
        for side, flows in _sides(predictions, references, real, synthetic).items():
            if _is_empty(flows):
                continue
            self._added().setdefault(side, []).append(_as_flows(flows, _SIDES[side]))

    def add(
        self, *, prediction=None, reference=None, predictions=None, references=None, real=None, synthetic=None
    ) -> None:
        """Keep one flow of a side or of each, a dictionary, for the next ``compute()``.

        The plural names are those by which `evaluate.combine` passes one flow on.
        """
        one = _sides(
            predictions if prediction is None else prediction,
            references if reference is None else reference,
            real,
            synthetic,
        )
        self.add_batch(**{side: [flow] for side, flow in one.items()})

    def __len__(self) -> int:
        """Number of flows that were added and not computed yet, of the longer side."""
        return max((sum(map(len, parts)) for parts in self._added().values()), default=0)

    def _compute(self, **inputs) -> dict:
        return self.compute(**inputs)

    def _added(self) -> dict[str, list[Dataset]]:
        # Not set in __init__: evaluate's __init__ calls len(self) while it builds the object.
        return self.__dict__.setdefault("_parts", {})

    def _take_added(self) -> dict[str, list[Dataset]]:
        added = self._added()
        self._parts: dict[str, list[Dataset]] = {}
        return added


def _sides(predictions, references, real, synthetic) -> dict[str, Any]:
    """The arguments for each side, under the names that `evaluate` uses.

    Raises:
        ValueError: a side was given under both of its names.
    """
    pairs = {"references": (references, real), "predictions": (predictions, synthetic)}
    for side, (one, other) in pairs.items():
        if one is not None and other is not None:
            raise ValueError(f"give {side} or {_SIDES[side]}, not both: they are two names of one side")
    found = {side: other if one is None else one for side, (one, other) in pairs.items()}
    return {side: flows for side, flows in found.items() if flows is not None}


def _is_empty(flows: Any) -> bool:
    """Whether a batch holds no flow, as the last slices of the smaller side do."""
    return not len(next(iter(flows.values()), ())) if isinstance(flows, Mapping) else not len(flows)


def _as_flows(flows: Any, name: str) -> Any:
    """`flows` as a table in the schema; arrays of flows are passed on as they are."""
    return flows if isinstance(flows, FlowArrays) else conform_flows(flows, name)


def metric_class(metric: MetricInfo) -> type[FlowMetric]:
    """The class of `metric`, named as `evaluate` expects it: ``FlowJsd`` for ``flow_jsd``."""
    name = "".join(word.capitalize() for word in metric.name.split("_"))
    return type(name, (FlowMetric,), {"metric": metric, "__doc__": f"{metric.title}."})
