"""How a private n-gram divides its budget among its tables of counts."""

from __future__ import annotations

import math

__all__ = ["budget_shares"]

# Shares of 1 / noise². The counts of pairs are many and small: with few flows a class they are lost in the noise, and
# the other tables gain more from their share. Where the two divisions are best was found on validation flows of a
# public data set (MIRAGE-AppxAct) and of the bundled flows, at epsilon 8, 2 and 1.
_MANY_FLOWS = {"classes": 0.02, "ranges": 0.15, "packets": 0.33, "pairs": 0.4, "times": 0.06, "headers": 0.04}
_FEW_FLOWS = {"classes": 0.02, "ranges": 0.25, "packets": 0.6, "pairs": 0.03, "times": 0.06, "headers": 0.04}
_FEW, _MANY = 200.0, 1_000.0  # flows of a class, in multiples of the noise of a sum that spends the whole budget


def budget_shares(flows_of_a_class: float, noise: float) -> dict[str, float]:
    """The share of each table, between the divisions for few and for many flows on a logarithmic scale.

    Args:
        flows_of_a_class: units by classes, both public. noise: of one sum that spends the whole budget.
    """
    place = math.log(flows_of_a_class / noise / _FEW) / math.log(_MANY / _FEW)
    many = min(max(place, 0.0), 1.0)
    return {name: many * share + (1 - many) * _FEW_FLOWS[name] for name, share in _MANY_FLOWS.items()}
