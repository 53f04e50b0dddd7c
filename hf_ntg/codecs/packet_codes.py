"""Code words for packets: direction and payload length together as 32 channels of +-1."""

from __future__ import annotations

from itertools import combinations

import numpy as np

__all__ = ["CODE_WIDTH", "ENDED", "PacketCodes", "code_words"]

CODE_WIDTH = 32
ENDED, OTHER_UP, OTHER_DOWN = 0, 1, 2  # code words with a meaning of their own; packet symbols follow
FIRST_SYMBOL = 3
ROWS_AT_ONCE = 512  # flows whose packets are compared with every word together


class PacketCodes:
    """The words of a list of packet symbols (``2 * length + downstream``).

    Words are those of the Reed-Muller code RM(2, 5), so any two differ in at least 8 channels; the 64 first in at least
    16. Three words come before those of the symbols: no packet any more, and other packets of either direction.

    Attributes:
        symbols: (S,) int64. book: (V, 32) float32 of +-1, V being S + 3.
    """

    def __init__(self, symbols: list[int]) -> None:
        self.symbols = np.array(symbols, dtype=np.int64)
        self.book = code_words(np.arange(FIRST_SYMBOL + len(self.symbols))).astype(np.float32)
        self._order = np.argsort(self.symbols)

    def words_of(self, symbols: np.ndarray) -> np.ndarray:
        """(P,) numbers of the words of packet `symbols`; those without a word take the other packets' of their side."""
        other = OTHER_UP + symbols % 2
        if not len(self.symbols):
            return other
        place = np.searchsorted(self.symbols, symbols, sorter=self._order).clip(max=len(self.symbols) - 1)
        found = self._order[place]
        return np.where(self.symbols[found] == symbols, FIRST_SYMBOL + found, other)

    def symbols_of(self, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Packet symbols of `words` (any shape), and which of them only tell the side."""
        return np.array([0, 0, 1, *self.symbols])[words], (words == OTHER_UP) | (words == OTHER_DOWN)

    def nearest(self, channels: np.ndarray) -> np.ndarray:
        """(N, W) words that stand nearest to `channels` (32, N, W)."""
        words = np.empty(channels.shape[1:], dtype=np.int64)
        for start in range(0, len(words), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            words[rows] = np.einsum("cnw,vc->nwv", channels[:, rows], self.book, optimize=True).argmax(axis=2)
        return words


def log_shares(word_counts: list[list[list[list[int]]]], num_words: int) -> np.ndarray:
    """(K + 1, W, V) float32: log share of each code word at each position of a class; in the last row, of all classes.

    A position is counted with one more flow that is spread as the class's packets are anywhere, a class with one more
    packet that is spread as all packets are, so that no word is impossible.

    Args:
        word_counts: for each of K classes and W positions, (word, flows that have it there).
    """
    counts = np.zeros((len(word_counts) + 1, len(word_counts[0]) if word_counts else 0, num_words))
    for k, positions in enumerate(word_counts):
        for t, pairs in enumerate(positions):
            for word, count in pairs:
                counts[k, t, word] = count
    counts[-1] = counts.sum(axis=0)
    every = counts[-1].sum(axis=0) + 1
    classes = counts.sum(axis=1) + every / every.sum()  # (K + 1, V)
    counts += (classes / classes.sum(axis=1, keepdims=True))[:, None]
    return np.log(counts / counts.sum(axis=2, keepdims=True)).astype(np.float32)


def code_words(numbers: np.ndarray) -> np.ndarray:
    """Words of the Reed-Muller code RM(2, 5) as rows of +-1: (N, 32) int8 for N `numbers` below 65,536.

    Bit j of a number is the coefficient of the j-th of the 16 monomials of degree up to two in five binary variables,
    linear ones first; the word is the polynomial's value at all 32 points. Two words differ in at least 8 places, two
    of the first 64 in at least 16 (MacWilliams and Sloane, The Theory of Error-Correcting Codes, chapter 13).
    """
    points = np.arange(CODE_WIDTH)[None] >> np.arange(5)[:, None] & 1  # (5, 32)
    quadratic = [points[i] * points[j] for i, j in combinations(range(5), 2)]
    monomials = np.stack([*points, np.ones(CODE_WIDTH, dtype=points.dtype), *quadratic])  # (16, 32)
    coefficients = np.asarray(numbers)[:, None] >> np.arange(16) & 1
    return (1 - 2 * (coefficients @ monomials % 2)).astype(np.int8)
