"""Words that say which packets a flow has, for classifiers of texts."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

__all__ = ["packet_words"]

_BINS_PER_OCTAVE = 3


def packet_words(lengths: np.ndarray) -> list[list[str]]:
    """The words of each of N flows. Packets without payload have none.

    A packet has three words: its signed length, the bin of its signed length, and the bin with the packet's position. A
    pair of neighbouring packets has a word of both bins, and the flow one of its number of packets. Bins are equally
    wide on a logarithmic scale, three to each doubling of the length.

    Args:
        lengths: (N, M) signed payload lengths in bytes, 0 for an empty packet and behind a flow's last one.
    """
    bins = (np.sign(lengths) * np.floor(_BINS_PER_OCTAVE * np.log2(1 + np.abs(lengths)))).astype(np.int64)
    rows = zip(lengths.astype(np.int64).tolist(), bins.tolist(), strict=True)
    return [_words(list(filter(None, row)), list(filter(None, binned))) for row, binned in rows]


def _words(lengths: list[int], bins: list[int]) -> list[str]:
    return [
        f"packets {len(lengths)}",
        *(f"length {length}" for length in lengths),
        *(f"bin {number}" for number in bins),
        *(f"bin {number} at {position}" for position, number in enumerate(bins)),
        *(f"bins {first} {second}" for first, second in pairwise(bins)),
    ]
