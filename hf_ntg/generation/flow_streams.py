"""Random numbers for flows: each flow has its own stream, independent of the block and the process that draws it.

The generator is Philox-4x64 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011), which is a function
of a key and a counter. The seed is the key, and flow i owns a fixed stretch of the counter.
"""

from __future__ import annotations

import numpy as np

__all__ = ["flow_uniforms"]

_NUMBERS_A_COUNT = 4  # 64-bit numbers that one value of the counter gives


def flow_uniforms(seed: int, first: int, count: int, width: int) -> np.ndarray:
    """Uniform numbers in [0, 1) of `count` flows from flow `first` on: (count, width) float64.

    Args:
        width: numbers that a flow needs; it is part of the definition of the streams, so one kind of model always asks
            for the same.
    """
    stretch = -(-width // _NUMBERS_A_COUNT)
    bits = np.random.Philox(key=np.array([seed, 0], dtype=np.uint64), counter=first * stretch)
    return np.random.Generator(bits).random((count, stretch * _NUMBERS_A_COUNT))[:, :width]
