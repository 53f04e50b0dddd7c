import numpy as np

from hf_ntg.codecs.signal_scales import (
    integers_of,
    log_scaled,
    matched_ranks,
    rank_quantiles,
    ranked_times,
    time_knots,
    times_of,
)


def test_every_window_survives_float32():
    values = np.arange(65_536)
    scaled = log_scaled(values).astype(np.float32)
    assert scaled.min() == -1
    assert scaled.max() == 1
    np.testing.assert_array_equal(integers_of(scaled), values)
    assert integers_of(np.array([-3.0, 3.0])).tolist() == [0, 65_535]


def some_times(number: int = 400):
    """Times of two classes at three positions: class 1 is a thousand times slower, ties at position 2, a few zeros."""
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 2, number)
    times = 10.0 ** (rng.normal(-3, 1, (number, 3)) + 3 * classes[:, None])
    times[:, 2] = np.round(times[:, 2], 2)
    times[rng.random((number, 3)) < 0.05] = 0
    positions = np.broadcast_to(np.arange(3), times.shape)
    owners = np.broadcast_to(classes[:, None], times.shape)
    return times, classes, time_knots(times.ravel(), owners.ravel(), positions.ravel(), 2, 3)


def test_times_survive_and_are_spread_evenly():
    times, classes, knots = some_times()
    ranks = ranked_times(times, classes, knots).astype(np.float32)
    np.testing.assert_allclose(times_of(ranks, classes, knots), times, rtol=1e-4)
    assert ((ranks == -1) == (times == 0)).all()
    assert ranks[times > 0].min() >= np.float32(-0.9)
    for k in range(2):
        positive = ranks[classes == k, 0][times[classes == k, 0] > 0]
        np.testing.assert_allclose(np.quantile(positive, [0.25, 0.5, 0.75]), [-0.425, 0.05, 0.525], atol=0.02)


def test_any_rank_is_a_time_of_the_class():
    times, classes, knots = some_times()
    drawn = np.random.default_rng(1).uniform(-1.2, 1.2, times.shape)
    found = times_of(drawn, classes, knots)
    for k in range(2):
        for t in range(3):
            own = times[classes == k, t]
            assert found[classes == k, t].max() <= own.max() * (1 + 1e-9)
            assert found[classes == k, t].min() == 0


def test_few_times_borrow_those_of_the_class_and_no_times_are_no_trouble():
    knots = time_knots(np.array([0.1, 0.2, 0.3, 0.4, 5.0]), np.zeros(5, int), np.array([0, 0, 0, 0, 1]), 2, 2)
    np.testing.assert_allclose(np.exp([knots[0][1][0], knots[0][1][-1]]), [0.1, 5.0])  # one time at position 1
    assert knots[1] == [knots[0][1]] * 2  # none of class 1
    empty = time_knots(np.zeros(3), np.zeros(3, int), np.zeros(3, int), 1, 1)
    assert times_of(np.array([[0.3]]), np.array([0]), empty).tolist() == [[1.0]]


def test_matched_ranks_are_spread_as_wanted_and_keep_their_order():
    rng = np.random.default_rng(2)
    classes = np.repeat([0, 1], 500)
    drawn = rng.normal(0.3, 0.2, (1_000, 2)).clip(-1, 1)
    wanted = np.where(rng.random((1_000, 2)) < 0.25, -1, rng.uniform(-0.9, 1, (1_000, 2)))  # a quarter are zero times
    known = np.ones_like(drawn, dtype=bool)
    spread = [rank_quantiles(ranks, known, classes, 2) for ranks in (drawn, wanted)]
    found = matched_ranks(drawn, classes, *spread)
    for k in range(2):
        own = classes == k
        for share in (0.1, 0.4, 0.5, 0.75, 0.9):
            # A quantile of some thousand draws; the steps between two of the 17 are linear.
            np.testing.assert_allclose(
                np.quantile(found[own], share, axis=0), np.quantile(wanted[own], share, axis=0), atol=0.05
            )
        order = np.argsort(drawn[own, 0])
        assert (np.diff(found[own, 0][order]) >= 0).all()


def test_ranks_of_which_nothing_is_known_stay():
    ranks = np.random.default_rng(3).uniform(-1, 1, (10, 2))
    known = np.zeros((10, 2), dtype=bool)
    known[:, 0], known[:3, 1] = True, True  # three are too few
    classes = np.zeros(10, dtype=int)
    drawn, wanted = (rank_quantiles(values, known, classes, 1) for values in (ranks, np.full((10, 2), 0.5)))
    found = matched_ranks(ranks, classes, drawn, wanted)
    assert (found[:, 0] == 0.5).all()
    np.testing.assert_array_equal(found[:, 1], ranks[:, 1])
