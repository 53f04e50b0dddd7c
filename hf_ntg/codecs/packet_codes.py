"""Code words for packets: 32 channels of +-1 encode direction and payload length together."""

from __future__ import annotations

from itertools import combinations

import numpy as np

__all__ = ["CODE_WIDTH", "ENDED", "PACKET_FORMS", "PacketCodes", "code_words", "counted_words", "log_shares"]

PACKET_FORMS = ("codes", "separate")  # how a signal writes a packet, see FlowSignalProcessor
CODE_WIDTH = 32
ENDED, OTHER_UP, OTHER_DOWN = 0, 1, 2  # numbers of the special code words; those of packet symbols follow
FIRST_SYMBOL = 3
ROWS_AT_ONCE = 512  # number of flows whose packets are compared with all words in one product


class PacketCodes:
    """Code words for a list of packet symbols (``2 * length + (direction < 0)``).

    The words are those of the Reed-Muller code RM(2, 5): any two differ in at least 8 channels, any two of the first 64
    in at least 16. Three special words come first: the flow has ended, and any other packet upstream or downstream.

    Attributes:
        symbols: (S,) int64. book: (V, 32) float32 of +-1, V being S + 3.
    """

    def __init__(self, symbols: list[int]) -> None:
        self.symbols = np.array(symbols, dtype=np.int64)
        self.book = code_words(np.arange(FIRST_SYMBOL + len(self.symbols))).astype(np.float32)
        self._order = np.argsort(self.symbols)

    def words_of(self, symbols: np.ndarray) -> np.ndarray:
        """(P,) numbers of the words of packet `symbols` (P,).

        A symbol without a word of its own maps to its direction's word for other packets.
        """
        other = OTHER_UP + symbols % 2
        if not len(self.symbols):
            return other
        place = np.searchsorted(self.symbols, symbols, sorter=self._order).clip(max=len(self.symbols) - 1)
        found = self._order[place]
        return np.where(self.symbols[found] == symbols, FIRST_SYMBOL + found, other)

    def symbols_of(self, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Packet symbols of `words` (any shape), and which of the words encode only the direction."""
        return np.array([0, 0, 1, *self.symbols])[words], (words == OTHER_UP) | (words == OTHER_DOWN)

    def nearest(self, channels: np.ndarray) -> np.ndarray:
        """(N, W) numbers of the words nearest to the columns of `channels` (32, N, W)."""
        words = np.empty(channels.shape[1:], dtype=np.int64)
        for start in range(0, len(words), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            words[rows] = np.einsum("cnw,vc->nwv", channels[:, rows], self.book, optimize=True).argmax(axis=2)
        return words


def counted_words(words: np.ndarray) -> list[list[int]]:
    """Pairs of a code word and its count in `words`; -1 is not a word."""
    found, counts = np.unique(words[words >= 0], return_counts=True)
    return np.stack([found, counts], axis=1).tolist()


def log_shares(word_counts: list[list[list[list[int]]]], num_words: int) -> np.ndarray:
    """Log share of each code word at each position of a flow, for each class and for all classes together.

    The counts are smoothed, so that no word has share zero: each position of a class gets one more flow with the
    class's overall shares, and each class one more packet with the overall shares of all classes.

    Args:
        word_counts: for each of K classes and W positions, pairs of a word and the number of flows that have it there.
        num_words: V.

    Returns:
        (K + 1, W, V) float32; the last row is for all classes together.
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
    """Words of the Reed-Muller code RM(2, 5) as rows of +-1.

    Bit j of a number is the coefficient of the j-th of the 16 monomials of degree up to two in five binary variables,
    linear ones first. The word holds the polynomial's value at all 32 points. Two words differ in at least 8 places,
    two of the first 64 in at least 16 (MacWilliams and Sloane, The Theory of Error-Correcting Codes, chapter 13).

    Args:
        numbers: (N,) integers below 65,536.

    Returns:
        (N, 32) int8.
    """
    points = np.arange(CODE_WIDTH)[None] >> np.arange(5)[:, None] & 1  # (5, 32)
    quadratic = [points[i] * points[j] for i, j in combinations(range(5), 2)]
    monomials = np.stack([*points, np.ones(CODE_WIDTH, dtype=points.dtype), *quadratic])  # (16, 32)
    coefficients = np.asarray(numbers)[:, None] >> np.arange(16) & 1
    return (1 - 2 * (coefficients @ monomials % 2)).astype(np.int8)
