"""The audit of scripts/audit_privacy.py: attacks on a tiny private training stay below the stated epsilon."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("opacus")
SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture
def audit(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import audit_privacy

    yield audit_privacy
    sys.modules.pop("audit_privacy", None)


def test_a_bound_finds_a_mechanism_without_enough_noise(audit):
    """Gaussian scores with a known epsilon: the bound is below it, and above a smaller one that is claimed falsely."""
    rng = np.random.default_rng(0)
    noise = 0.5  # epsilon 10.4 at delta 1e-5
    inside, outside = (rng.normal(shift, noise, 20_000) for shift in (1.0, 0.0))
    assert 2.0 < audit.lower_bound(inside, outside, 1e-5) < 10.4
    assert audit.lower_bound(outside, outside[::-1], 1e-5) < 0.1


def test_a_step_lets_out_what_the_noise_says(audit):
    inside, outside, noise = audit.gradient_scores(runs=300, epsilon=4.0)
    apart = (inside.mean() - outside.mean()) / inside.std()
    assert apart == pytest.approx(1 / noise, abs=4 * math.sqrt(2 / 300))
    assert audit.lower_bound(inside, outside, 1e-5) <= 4.0


@pytest.mark.slow
@pytest.mark.parametrize(("attack", "runs"), [("gradient", 600), ("likelihood", 100)])
def test_no_attack_beats_the_stated_epsilon(audit, attack, runs):
    found = audit.bound(attack, runs, epsilon=2.0)
    assert found["lower_bound"] <= 2.0
    if attack == "gradient":  # the attack on finished models is too weak to see one flow every time
        assert found["standard_deviations_apart"] > 0
