"""The description of a metric: name, unit, range, formula, source, and the function that computes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

__all__ = ["MetricInfo"]


@dataclass(frozen=True)
class MetricInfo:
    """One metric. Table heads, reports and cards on the Hub are made from this.

    Attributes:
        name: the metric's name in code; the constant of its module has the same name in capitals.
        title: the metric's name for people. group: the question it helps to answer.
        unit: of ``overall``. range: its least and greatest value, None where there is none.
        better: ``lower``, ``higher``, or ``real``: best where it equals the score of real held-out flows.
        formula: what is computed, and averaged over what. source: the paper or library it comes from.
        compute: ``compute(real, synthetic, **options) -> dict`` with ``overall``, ``per_class`` and more. ``overall``
            is None where the flows lack what is measured, and ``reason`` then says what is missing.
        against: the real flows that synthetic flows are compared with: ``test``, or ``train`` where the distance to
            the training flows is the question.
        needs_train: whether ``compute`` also takes the training flows as ``train``; ``real`` are then real flows that
            the generator has not seen.
        seeded: whether ``compute`` takes a ``seed``.
    """

    name: str
    title: str
    group: Literal["packets", "order", "whole", "use", "novelty", "validity"]
    unit: str
    range: tuple[float | None, float | None]
    better: Literal["lower", "higher", "real"]
    formula: str
    source: str
    compute: Callable[..., dict]
    against: Literal["test", "train"] = "test"
    needs_train: bool = False
    seeded: bool = False
