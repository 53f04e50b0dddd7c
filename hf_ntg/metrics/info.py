"""What a metric says of itself: enough for a table head, a report and a card on the Hub."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

__all__ = ["MetricInfo"]


@dataclass(frozen=True)
class MetricInfo:
    """One metric.

    Attributes:
        name: as in its folder. title: for people. group: the question it helps to answer.
        unit: of ``overall``. range: its least and greatest value, None where there is none.
        better: ``lower``, ``higher``, or ``real``: best where it equals the figure of real held-out flows.
        formula: what is computed, and averaged over what. source: paper or library it comes from.
        compute: ``compute(real, synthetic, **options) -> dict`` with ``overall``, ``per_class`` and more. ``overall``
            is None where the flows lack what is measured, and ``reason`` then says what.
        against: the real flows that the synthetic ones are held against: ``test``, or ``train`` where repeating the
            training flows is what is measured.
        needs_train: whether ``compute`` takes the real training flows as ``train``.
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
