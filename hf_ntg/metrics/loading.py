"""Metrics as modules of Hugging Face `evaluate`, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hf_ntg.metrics.registry import find_metric

if TYPE_CHECKING:
    from hf_ntg.metrics.evaluate_module import FlowMetric

__all__ = ["load"]


def load(name: str) -> FlowMetric:
    """The metric `name` as a module of `evaluate`, like ``evaluate.load`` of a published metric.

    Example: ``hf_ntg.metrics.load("flow_jsd").compute(references=real, predictions=synthetic)["overall"]``

    Raises:
        InputError: there is no such metric.
    """
    metric = find_metric(name)
    from hf_ntg.metrics.evaluate_module import metric_class  # imports evaluate and transformers: seconds

    return metric_class(metric)()
