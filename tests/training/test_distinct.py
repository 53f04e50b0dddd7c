import numpy as np
import pytest

from hf_ntg.training.distinct import distinct_rows


@pytest.mark.parametrize("largest", [3, 300, 70_000])
def test_distinct_rows_come_in_the_order_of_numpy(largest):
    rows = np.random.default_rng(0).integers(0, largest, (500, 2)).astype(np.int32)
    rows = np.concatenate([rows, rows[::2]])
    wanted, first, number = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    found = distinct_rows(rows)
    np.testing.assert_array_equal(found[0], first)
    np.testing.assert_array_equal(found[1], number.ravel())
    np.testing.assert_array_equal(rows[found[0]], wanted)
