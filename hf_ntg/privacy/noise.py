"""Secret randomness: the noise of a private release, and which units a step samples.

Whoever knows the noise can subtract it, so it must not follow from a seed that is published with the model. It comes
from a generator (NumPy's Philox) with a key of 128 bits from the operating system. The key is not written anywhere.
"""

from __future__ import annotations

import secrets

import numpy as np

__all__ = ["SecretNoise", "fresh_key"]


def fresh_key() -> int:
    """128 bits from the operating system."""
    return secrets.randbits(128)


class SecretNoise:
    """Random numbers that nobody can repeat.

    The noise is ordinary floating point. Attacks on the lowest bits of such noise (Mironov, On significance of the
    least significant bits for differential privacy, 2012) are not covered by the guarantee.
    """

    def __init__(self) -> None:
        self._rng = np.random.Generator(np.random.Philox(key=fresh_key()))

    def normal(self, shape: tuple[int, ...], scale: float = 1.0) -> np.ndarray:
        """Gaussian noise of standard deviation `scale`: `shape`, float64."""
        return self._rng.normal(0.0, scale, shape)

    def normal_float32(self, count: int) -> np.ndarray:
        """`count` standard Gaussian numbers, float32."""
        return self._rng.standard_normal(count, dtype=np.float32)

    def poisson_sample(self, count: int, rate: float) -> np.ndarray:
        """Each of `count` units with chance `rate`, independently: the ascending numbers of those that were drawn."""
        return np.flatnonzero(self._rng.random(count) < rate)

    def choose(self, values: np.ndarray, most: int) -> np.ndarray:
        """At most `most` of `values`, drawn without replacement."""
        return values if len(values) <= most else self._rng.choice(values, most, replace=False)
