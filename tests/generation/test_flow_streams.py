import numpy as np

from hf_ntg.generation.flow_streams import flow_uniforms


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
