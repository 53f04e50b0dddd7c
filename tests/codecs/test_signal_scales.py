import numpy as np

from hf_ntg.codecs.signal_scales import integers_of, log_scaled, ranked_times, time_knots, times_of


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
