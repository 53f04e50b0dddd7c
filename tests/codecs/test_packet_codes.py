import numpy as np

from hf_ntg.codecs.packet_codes import ROWS_AT_ONCE, PacketCodes, code_words, log_shares


def test_code_words_are_far_apart():
    words = code_words(np.arange(2_000)).astype(int)
    products = words @ words.T
    np.fill_diagonal(products, -32)
    assert products.max() == 32 - 2 * 8
    assert products[:64, :64].max() == 32 - 2 * 16


def test_words_survive_three_wrong_channels():
    codes = PacketCodes(list(range(500)))
    rng = np.random.default_rng(0)
    words = rng.integers(0, len(codes.book), (2 * ROWS_AT_ONCE + 7, 1))
    channels = codes.book[words].transpose(2, 0, 1).copy()  # (32, N, 1)
    for n in range(len(words)):
        channels[rng.choice(32, 3, replace=False), n] *= -1
    np.testing.assert_array_equal(codes.nearest(channels), words)


def test_symbols_without_a_word_keep_their_side():
    codes = PacketCodes([1034, 7])
    words = codes.words_of(np.array([7, 1034, 8, 9]))
    assert words.tolist() == [4, 3, 1, 2]
    symbols, other = codes.symbols_of(words)
    assert symbols.tolist() == [7, 1034, 0, 1]
    assert other.tolist() == [False, False, True, True]
    assert PacketCodes([]).words_of(np.array([8, 9])).tolist() == [1, 2]


def test_log_shares_count_one_flow_more():
    counts = [[[[0, 1], [1, 2]], [[1, 3]]], [[[1, 1]], [[0, 1]]]]  # of two classes at two positions
    shares = np.exp(log_shares(counts, 3).astype(np.float64))
    every = np.array([3, 7, 1]) / 11  # (2, 6, 0) packets and one more of each word
    spread = [(np.array([1, 5, 0]) + every) / 7, (np.array([1, 1, 0]) + every) / 3, (np.array([2, 6, 0]) + every) / 9]
    np.testing.assert_allclose(shares[0, 0], (np.array([1, 2, 0]) + spread[0]) / 4, rtol=1e-6)
    np.testing.assert_allclose(shares[1, 1], (np.array([1, 0, 0]) + spread[1]) / 2, rtol=1e-6)
    np.testing.assert_allclose(shares[2, 0], (np.array([1, 3, 0]) + spread[2]) / 5, rtol=1e-6)
