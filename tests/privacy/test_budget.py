import math

import numpy as np
import pytest
from scipy.special import gammaln, logsumexp
from scipy.stats import norm

from hf_ntg.errors import InputError
from hf_ntg.privacy.budget import (
    Budget,
    Mechanism,
    default_delta,
    gaussian_delta,
    gaussian_noise,
    noise_for_steps,
    spent_epsilon,
)

TRAINING = Mechanism(noise=1.5, sample_rate=0.1, steps=300)


def test_delta_of_a_gaussian_is_the_integral_of_the_excess_density():
    noise, epsilon = 1.3, 0.8
    x = np.linspace(-30, 30, 2_000_001)
    excess = norm.pdf(x, 1, noise) - math.exp(epsilon) * norm.pdf(x, 0, noise)
    assert gaussian_delta(noise, epsilon) == pytest.approx(np.trapezoid(excess.clip(min=0), x), rel=1e-4)


@pytest.mark.parametrize("epsilon", [0.1, 1, 8, 50])
def test_least_noise_of_a_gaussian_spends_the_budget(epsilon):
    noise = gaussian_noise(Budget(epsilon, 1e-5))
    assert gaussian_delta(noise, epsilon) <= 1e-5
    assert gaussian_delta(0.999 * noise, epsilon) > 1e-5


def test_sums_are_as_private_as_one_with_their_joint_noise():
    together = spent_epsilon([Mechanism(3.0), Mechanism(4.0)], 1e-5)
    assert together == pytest.approx(spent_epsilon([Mechanism(2.4)], 1e-5), rel=1e-6)
    assert gaussian_delta(2.4, together) <= 1e-5  # the bound is above the exact value


def epsilon_by_formula(part: Mechanism, delta: float) -> float:
    """Mironov, Talwar, Zhang (2019), equation for whole orders, and proposition 3 of Mironov (2017)."""
    best = math.inf
    for order in range(2, 64):
        k = np.arange(order + 1)
        log_binomial = gammaln(order + 1) - gammaln(k + 1) - gammaln(order - k + 1)
        terms = log_binomial + k * math.log(part.sample_rate) + (order - k) * math.log1p(-part.sample_rate)
        divergence = logsumexp(terms + k * (k - 1) / (2 * part.noise**2)) / (order - 1)
        best = min(best, part.steps * divergence + math.log(1 / delta) / (order - 1))
    return best


def test_accounting_agrees_with_the_published_formula():
    ours, theirs = spent_epsilon([TRAINING], 1e-5), epsilon_by_formula(TRAINING, 1e-5)
    assert ours <= theirs < 1.2 * ours  # the conversion of 2017 is looser


def test_accounting_is_above_the_numerical_one_of_opacus():
    accountant = pytest.importorskip("opacus.accountants").PRVAccountant()
    accountant.history = [(TRAINING.noise, TRAINING.sample_rate, TRAINING.steps)]
    numerical = accountant.get_epsilon(1e-5)
    assert numerical <= spent_epsilon([TRAINING], 1e-5) < 1.2 * numerical


def test_noise_for_steps_stays_in_the_budget():
    budget, others = Budget(4.0, 1e-5), [Mechanism(8.0)]
    noise = noise_for_steps(budget, 0.1, 200, others)
    assert 3.9 < spent_epsilon([Mechanism(noise, 0.1, 200), *others], 1e-5) <= 4.0
    assert noise > noise_for_steps(budget, 0.05, 200, others)


def test_a_budget_that_the_others_spend_leaves_nothing():
    with pytest.raises(InputError, match="raise"):
        noise_for_steps(Budget(1.0, 1e-5), 0.1, 10, [Mechanism(1.0)])


@pytest.mark.parametrize(
    ("epsilon", "delta"), [(math.inf, 1e-5), (0, 1e-5), (math.nan, 1e-5), (-1, 1e-5), (1, 0), (1, 1)]
)
def test_no_guarantee_is_no_budget(epsilon, delta):
    with pytest.raises(InputError, match="no guarantee"):
        Budget(epsilon, delta)


def test_without_noise_there_is_no_guarantee():
    with pytest.raises(InputError, match="no guarantee"):
        spent_epsilon([Mechanism(noise=0.0, sample_rate=0.1, steps=1)], 1e-5)


def test_delta_is_well_below_one_in_the_number_of_units():
    assert default_delta(100) == 1e-5
    assert default_delta(1_000_000) == pytest.approx(1e-7)
