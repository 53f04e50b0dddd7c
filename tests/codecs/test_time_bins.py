import numpy as np
import pytest
from scipy.stats import ks_2samp

from hf_ntg.codecs.time_bins import PARTS, TimeBins


def some_times(count=20_000):
    """Whole microseconds, some of them often, and two modes a thousand times apart."""
    rng = np.random.default_rng(0)
    times = np.concatenate([rng.lognormal(-9, 1, count), rng.lognormal(-2, 0.5, count), np.full(count, 4e-6)])
    return (np.rint(times * 1e6) / 1e6).astype(np.float32)


def test_bins_and_their_parts_are_equally_full():
    times = np.random.default_rng(0).permutation(np.arange(1, 6_401) / 1_000)
    bins = TimeBins.fit(times, 11)
    assert len(bins) == 11
    assert np.bincount(bins.of(times), minlength=11).tolist() == [0, *[640] * 10]
    for least, *quantiles in bins.knots.reshape(10, PARTS + 1):
        assert [((times >= least) & (times <= quantile)).sum() for quantile in quantiles] == [80, *range(160, 641, 80)]


def test_drawn_times_lie_as_the_fitted_ones_do():
    times = some_times()
    bins = TimeBins.fit(times, 64)
    place = bins.of(times)
    drawn = bins.draw(place, np.random.default_rng(1).random(len(place)))
    assert drawn.dtype == np.float32
    assert (bins.of(drawn * np.float32(1 + 1e-6)) >= place).all()
    assert (bins.of(drawn * np.float32(1 - 1e-6)) <= place).all()
    assert ks_2samp(drawn, times).statistic < 0.01
    whole = np.abs(drawn * 1e6 - np.rint(drawn * 1e6)) < 1e-3
    assert whole[times < 1e-5].mean() > 0.7


def test_a_time_that_many_share_comes_back_exactly():
    times = np.array([0.25] * 900 + [0.5] * 90 + [1.0] * 10, dtype=np.float32)
    bins = TimeBins.fit(times, 64)
    assert bins.edges.tolist() == [0.25, 0.5, 1.0]
    np.testing.assert_array_equal(bins.draw(bins.of(times), np.random.default_rng(0).random(len(times))), times)


@pytest.mark.parametrize("times", [None, np.zeros(5), np.zeros(0)])
def test_without_positive_times_there_are_no_bins(times):
    assert len(TimeBins.fit(times, 64)) == 0


def test_one_time_alone():
    bins = TimeBins.fit(np.array([0.0, 0.125, 0.125]), 64)
    np.testing.assert_array_equal(bins.of(np.array([0.0, 0.1, 0.125, 7.0])), [0, 0, 1, 1])
    assert bins.draw(np.array([0, 1]), np.array([0.3, 0.7])) == pytest.approx([0, 0.125])
