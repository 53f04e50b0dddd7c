"""Accounting of (epsilon, delta)-differential privacy for Gaussian mechanisms on Poisson samples.

Two tables are neighbours if one is the other with the content of a single unit (a flow or a capture) left out. The
number of units is public; a unit that is left out counts, but adds nothing. Replacing a unit by another is two such
steps, for which epsilon doubles.

Everything that training reads from the flows is a sum over units, each clipped to a norm, plus Gaussian noise. Rényi
divergences of such sums add up. They are those of Mironov, Talwar and Zhang (Rényi differential privacy of the sampled
Gaussian mechanism, arXiv 1908.10530), which hold in both directions of leaving out and adding, and are converted to
epsilon as by Balle et al. (arXiv 1905.09982). Opacus computes both.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import log_ndtr, ndtr

from hf_ntg.errors import InputError

__all__ = [
    "ACCOUNTANT",
    "GAUSSIAN_ACCOUNTANT",
    "Budget",
    "Mechanism",
    "default_delta",
    "gaussian_delta",
    "gaussian_noise",
    "noise_for_steps",
    "spent_epsilon",
]

ACCOUNTANT = "Rényi divergences of the sampled Gaussian mechanism, computed by Opacus"
GAUSSIAN_ACCOUNTANT = "analytic Gaussian mechanism"
_ORDERS = [1.1, 1.25, 1.5, 1.75, *(2 + k / 4 for k in range(36)), *range(11, 64), 80, 96, 128, 192, 256, 384, 512, 1024]
_LEAST_NOISE, _MOST_NOISE = 0.1, 1e6
_TOLERANCE = 1e-3  # relative, of a noise multiplier


@dataclass(frozen=True)
class Mechanism:
    """Noised sums over Poisson samples of the units, each unit clipped to norm 1.

    Attributes:
        noise: standard deviation of the noise. sample_rate: chance of a unit to be in a sample; 1 takes all units.
        steps: number of such sums.
    """

    noise: float
    sample_rate: float = 1.0
    steps: int = 1


@dataclass(frozen=True)
class Budget:
    """The guarantee that is asked for: `epsilon` and `delta`.

    Raises:
        InputError: one of them gives no guarantee.
    """

    epsilon: float
    delta: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.epsilon) and self.epsilon > 0):
            raise InputError(f"epsilon {self.epsilon}: no guarantee; give a number above 0")
        if not 0 < self.delta < 1:
            raise InputError(f"delta {self.delta}: no guarantee; give a number above 0 and below 1")


def default_delta(units: int) -> float:
    """A tenth of one by the number of units, and at most 1e-5."""
    return min(1e-5, 0.1 / units)


def spent_epsilon(mechanisms: Sequence[Mechanism], delta: float) -> float:
    """An upper bound on the epsilon, at `delta`, of all `mechanisms` together.

    Raises:
        InputError: a mechanism has no noise, or Opacus is not installed.
    """
    get_privacy_spent, compute_rdp = _opacus()
    for part in mechanisms:
        if not (part.noise > 0 and 0 < part.sample_rate <= 1):
            raise InputError(f"noise {part.noise:g} at sampling rate {part.sample_rate:g}: there is no guarantee")
    divergences = sum(
        compute_rdp(q=part.sample_rate, noise_multiplier=part.noise, steps=part.steps, orders=_ORDERS)
        for part in mechanisms
    )
    with warnings.catch_warnings():
        # The best order may be the first or last one here. Another order would only tighten the bound.
        warnings.filterwarnings("ignore", "Optimal order is")
        epsilon, _ = get_privacy_spent(orders=_ORDERS, rdp=divergences, delta=delta)
    return max(0.0, float(epsilon))


def gaussian_delta(noise: float, epsilon: float) -> float:
    """The exact delta, at `epsilon`, of one sum over all units with `noise`.

    Several sums of noises s1, s2, … are together as private as one with 1 / noise² = 1 / s1² + 1 / s2² + …, also when
    a later sum depends on the results of earlier ones (Dong, Roth, Su, Gaussian differential privacy,
    arXiv 1905.02383).

    Source: Balle and Wang, Improving the Gaussian mechanism for differential privacy (arXiv 1805.06530), theorem 8.
    """
    half, moved = 0.5 / noise, epsilon * noise
    return float(ndtr(half - moved) - math.exp(epsilon + log_ndtr(-half - moved)))


def gaussian_noise(budget: Budget) -> float:
    """The least noise of one sum over all units that spends no more than `budget`."""
    low, high = 0.0, 1.0
    while gaussian_delta(high, budget.epsilon) > budget.delta:
        low, high = high, 2 * high
        if high > _MOST_NOISE:
            raise _too_small(budget)
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if gaussian_delta(middle, budget.epsilon) <= budget.delta else (middle, high)
    return high


def noise_for_steps(budget: Budget, sample_rate: float, steps: int, others: Sequence[Mechanism] = ()) -> float:
    """The least noise of `steps` sums over samples that, together with the mechanisms `others`, stays in `budget`.

    Raises:
        InputError: nothing is left of the budget for it, or Opacus is not installed.
    """

    def fits(noise: float) -> bool:
        return spent_epsilon([Mechanism(noise, sample_rate, steps), *others], budget.delta) <= budget.epsilon

    low, high = _LEAST_NOISE, 1.0
    while not fits(high):
        low, high = high, 2 * high
        if high > _MOST_NOISE:
            raise _too_small(budget)
    if fits(low):
        return low
    while high - low > _TOLERANCE * high:
        middle = (low + high) / 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high


def _too_small(budget: Budget) -> InputError:
    return InputError(f"epsilon {budget.epsilon:g} at delta {budget.delta:g}: no noise is enough; raise one of them")


def _opacus():
    try:
        from opacus.accountants.analysis.rdp import compute_rdp, get_privacy_spent
    except ModuleNotFoundError as error:
        raise InputError("epsilon needs Opacus, which is not installed: pip install 'hf-ntg[private]'") from error
    return get_privacy_spent, compute_rdp
