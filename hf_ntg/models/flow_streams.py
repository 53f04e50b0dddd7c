"""Random numbers for flows: each flow has its own, independent of the block and the process that draws it.

Philox-4x64 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011) is a function of a key and a counter.
The seed is the key, and flow i owns a fixed stretch of the counter.

Independent numbers leave gaps and clusters by chance: 1,000 flows of a type with a share of 10 % are 100 ± 9. The
points of a scrambled Sobol net cover the unit cube evenly. Each point alone is uniform, so each flow is an exact draw,
but the shares of many flows together are close to those of the model (Owen, "Randomly permuted (t,m,s)-nets and
(t,s)-sequences", 1995).
"""

from __future__ import annotations

import numpy as np

__all__ = ["flow_points", "flow_uniforms"]

NET = 1 << 15  # flows that share one net
WINDOW = 64  # consecutive flows that take their points in random order, so that every second flow is no biased sample
_NUMBERS_A_COUNT = 4  # 64-bit numbers that one value of the counter gives
_SOBOL_BITS = 30  # that SobolEngine gives; lower bits are independent


def flow_uniforms(seed: int, first: int, count: int, width: int) -> np.ndarray:
    """Independent uniform numbers in [0, 1) of `count` flows from flow `first` on: (count, width) float64.

    Args:
        width: numbers that a flow needs; it is part of the definition of the streams, so one kind of model always asks
            for the same.
    """
    stretch = -(-width // _NUMBERS_A_COUNT)
    bits = np.random.Philox(key=np.array([seed, 0], dtype=np.uint64), counter=first * stretch)
    return np.random.Generator(bits).random((count, stretch * _NUMBERS_A_COUNT))[:, :width]


def flow_points(seed: int, first: int, count: int, even: int, width: int) -> np.ndarray:
    """As :func:`flow_uniforms`, but the first `even` columns of all flows cover [0, 1)^even evenly.

    The flows of a window have the points of that window of a net, in random order. Each net is scrambled independently.
    """
    found = flow_uniforms(seed, first, count, width)
    for net in range(first // NET, -(-(first + count) // NET)):
        start, stop = max(first, net * NET), min(first + count, (net + 1) * NET)
        found[start - first : stop - first, :even] *= 2.0**-_SOBOL_BITS
        found[start - first : stop - first, :even] += _net(seed, net, start - net * NET, stop - net * NET, even)
    return found


def _net(seed: int, net: int, start: int, stop: int, width: int) -> np.ndarray:
    """Points of flows `start` to `stop` of a net: (stop - start, width)."""
    import torch  # seconds to import; counting needs it here alone
    from torch.quasirandom import SobolEngine

    first, last = start // WINDOW, -(-stop // WINDOW)
    rng = np.random.default_rng([seed, net])
    engine = SobolEngine(width, scramble=True, seed=int(rng.integers(2**63))).fast_forward(first * WINDOW)
    points = engine.draw((last - first) * WINDOW, dtype=torch.float64).numpy()
    order = rng.random((NET // WINDOW, WINDOW))[first:last].argsort(axis=1)
    order += WINDOW * np.arange(last - first)[:, None]
    return points[order.ravel()[start - first * WINDOW : stop - first * WINDOW]]
