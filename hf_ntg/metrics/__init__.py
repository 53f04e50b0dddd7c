"""Metrics of synthetic flows as plain functions, the registry of metrics, and the full evaluation. No torch.

Each metric is a function ``name(real, synthetic, **options) -> dict`` and a :class:`hf_ntg.metrics.info.MetricInfo` in
one module; ``registry.py`` lists them. ``load(name)`` gives a metric as a module of Hugging Face `evaluate`. For
``evaluate.load``, ``ntg publish NAME ORGANISATION/NAME`` sends a metric to a Space on the Hub; with ``--dry-run`` it
writes the folder NAME, whose path ``evaluate.load`` takes.
"""

from hf_ntg.metrics.full_evaluation import evaluate_flows
from hf_ntg.metrics.loading import load
from hf_ntg.metrics.registry import ALL_METRICS, METRICS

__all__ = ["ALL_METRICS", "METRICS", "evaluate_flows", "load"]
