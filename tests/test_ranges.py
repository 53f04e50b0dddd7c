import numpy as np
import pytest

from hf_ntg.errors import InputError
from hf_ntg.ranges import Range


@pytest.mark.parametrize(
    ("range_", "good", "bad", "text"),
    [
        (Range(0, 1, above=True, below=True), [0.5], [0, 1, float("nan"), "0.5", True], "a number above 0 below 1"),
        (Range(1, 10**4, whole=True), [1, np.int64(7)], [0, 1.0, 10**5, None], "a whole number from 1 to 10,000"),
        (Range(0, 0.5), [0, 0.5], [0.6, float("inf")], "a number from 0 to 0.5"),
    ],
)
def test_numbers_in_and_out_of_a_range(range_, good, bad, text):
    assert str(range_) == text
    for value in good:
        range_.check("share", value)
    for value in bad:
        with pytest.raises(InputError, match=f"share .*: give {text}"):
            range_.check("share", value)
