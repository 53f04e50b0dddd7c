import numpy as np

from hf_ntg.models.baselines.donors import DonorTable

FINE, COARSE = np.array([10, 11, 10, 20]), np.array([1, 1, 1, 2])


def test_the_finest_level_with_a_donor_decides():
    table = DonorTable.fit([FINE, COARSE])
    wanted = [np.array([10, 99, 20]).repeat(500), np.array([1, 1, 2]).repeat(500)]
    drawn = table.draw(wanted, np.random.default_rng(0)).reshape(3, 500)
    assert set(drawn[0]) == {0, 2}
    assert set(drawn[1]) == {0, 1, 2}
    assert set(drawn[2]) == {3}


def test_a_table_comes_back_from_its_arrays():
    table = DonorTable.fit([FINE, COARSE])
    back = DonorTable.restore({**table.tensors("times"), "other": FINE}, "times")
    for name in ("keys", "rows"):
        np.testing.assert_array_equal(getattr(back, name), getattr(table, name))
