"""What makes a metric of ours an `evaluate` module. Imports `evaluate`, and with it transformers: use it only there."""

from __future__ import annotations

from abc import ABC, abstractmethod

import evaluate
from datasets import Dataset, Features

from hf_ntg.flows.schema import FLOW_FEATURES, REQUIRED_COLUMNS, conform_flows
from hf_ntg.metrics.info import MetricInfo

__all__ = ["FlowMetric"]

_FLOWS = Features({name: FLOW_FEATURES[name] for name in REQUIRED_COLUMNS})

_INPUTS = """
Args:
    real, synthetic: flow tables (`datasets.Dataset` in the schema of hf_ntg), of any two sizes; also taken under the
        names `references` and `predictions`, by which `evaluate.combine` hands them on.
    **options: those of the plain function.
"""


class FlowMetric(evaluate.Metric, ABC):
    """An `evaluate` metric over two flow tables.

    `evaluate.Metric.compute` refuses sets of different size and copies every row through an Arrow cache file; this one
    calls the plain function on the tables as they are. Abstract, so that `evaluate.load` passes it over in a module.
    """

    @property
    @abstractmethod
    def metric(self) -> MetricInfo:
        """The metric; a plain class attribute in each module."""

    def _info(self) -> evaluate.MetricInfo:
        low, high = ("any" if end is None else end for end in self.metric.range)
        return evaluate.MetricInfo(
            description=f"{self.metric.title}: {self.metric.formula}. Unit: {self.metric.unit}; "
            f"range: {low} to {high}; better: {self.metric.better}.",
            citation=self.metric.source,
            inputs_description=_INPUTS,
            features=Features({"real": _FLOWS, "synthetic": _FLOWS}),
        )

    def compute(self, *, real=None, synthetic=None, predictions=None, references=None, **options) -> dict:
        """Compute the metric; see the plain function for what is returned."""
        real = references if real is None else real
        synthetic = predictions if synthetic is None else synthetic
        pair = {"real": real, "synthetic": synthetic}
        missing = [name for name, flows in pair.items() if flows is None]
        if missing:
            raise ValueError(f"{self.metric.name}: give {' and '.join(missing)}")
        checked = [conform_flows(flows, name) if isinstance(flows, Dataset) else flows for name, flows in pair.items()]
        return self.metric.compute(*checked, **options)

    def _compute(self, **inputs) -> dict:
        return self.compute(**inputs)
