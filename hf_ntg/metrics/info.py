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
        name: as in its folder. title: for people. unit: of ``overall``, empty for a pure number.
        range: smallest and largest value of ``overall``.
        better: ``lower``, ``higher``, or ``real``: best where it equals the figure of real held-out flows.
        formula: what is computed and averaged over what. source: paper or library it comes from.
        compute: ``compute(real, synthetic, **options) -> dict`` with ``overall``, ``per_class`` and more.
    """

    name: str
    title: str
    unit: str
    range: tuple[float, float]
    better: Literal["lower", "higher", "real"]
    formula: str
    source: str
    compute: Callable[..., dict]
