import numpy as np
import pytest

from hf_ntg.models.flow_streams import NET, flow_points, flow_uniforms


def test_a_flow_has_its_numbers_whatever_the_block():
    whole = flow_uniforms(5, 0, 100, 22)
    parts = [flow_uniforms(5, first, count, 22) for first, count in ((0, 1), (1, 36), (37, 63))]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert not np.array_equal(flow_uniforms(6, 0, 100, 22), whole)


def test_numbers_are_uniform_and_of_different_flows_independent():
    drawn = flow_uniforms(1, 10**9, 20_000, 6)
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert abs(drawn.mean() - 0.5) < 0.005
    assert abs(np.corrcoef(drawn[:-1, 0], drawn[1:, 0])[0, 1]) < 0.03


def test_the_numbers_are_those_of_philox_at_this_place_of_its_counter():
    stream = np.random.Generator(np.random.Philox(key=np.array([7, 0], dtype=np.uint64)))
    np.testing.assert_array_equal(stream.random((10, 8)), flow_uniforms(7, 0, 10, 8))


def test_points_belong_to_flows_whatever_the_block():
    first = NET - 40
    whole = flow_points(5, first, 100, 7, 9)
    parts = [flow_points(5, first + start, count, 7, 9) for start, count in ((0, 1), (1, 59), (60, 40))]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert not np.array_equal(flow_points(6, first, 100, 7, 9)[:, :7], whole[:, :7])
    np.testing.assert_array_equal(whole[:, 7:], flow_uniforms(5, first, 100, 9)[:, 7:])


def test_points_are_uniform_alone_and_even_together():
    shares = []
    for seed in range(40):
        points = flow_points(seed, 0, 1_000, 5, 5)
        assert points.min() >= 0
        assert points.max() < 1
        shares.append(((points[:, 0] < 0.3) & (points[:, 1] < 0.5)).mean())
    assert np.mean(shares) == pytest.approx(0.15, abs=0.002)
    assert np.std(shares) < 0.3 * np.sqrt(0.15 * 0.85 / 1_000)  # of independent flows
    halves = [flow_points(seed, 0, 1_000, 5, 5)[::2] for seed in range(40)]
    assert np.mean([half[:, :2].mean(axis=0) for half in halves], axis=0) == pytest.approx([0.5, 0.5], abs=0.005)
    one_flow = np.array([flow_points(seed, 123, 1, 3, 3)[0] for seed in range(400)])
    assert np.abs(one_flow.mean(axis=0) - 0.5).max() < 4 / np.sqrt(12 * 400)
    assert np.abs(np.corrcoef(one_flow.T) - np.eye(3)).max() < 4 / np.sqrt(400)
