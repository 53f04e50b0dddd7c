import numpy as np
import pytest

from hf_ntg.errors import InputError
from hf_ntg.flows.class_mix import class_counts, counts_of_mix, parse_mix

LABELS = ["dns", "https", None]


def test_classes_share_a_request_by_their_weights():
    assert class_counts(10, None, LABELS, np.array([0.25, 0.6, 0.15])).tolist() == [3, 6, 1]
    assert counts_of_mix(10, {"https": 3.0, "dns": 1.0, "ssh": 1.0}) == {"https": 6, "dns": 2, "ssh": 2}
    assert sum(counts_of_mix(7, {"a": 1.0, "b": 1.0, "c": 1.0}).values()) == 7


def test_a_label_or_counts_choose_classes():
    assert class_counts(4, "https", LABELS, np.ones(3)).tolist() == [0, 4, 0]
    assert class_counts(None, {"dns": 1, "https": 2}, LABELS, np.ones(3)).tolist() == [1, 2, 0]


@pytest.mark.parametrize("request_", [(None, None), (3, {"dns": 1}), (3, "ssh"), (None, {"dns": -1})])
def test_other_requests_are_refused(request_):
    with pytest.raises(InputError):
        class_counts(*request_, LABELS, np.ones(3))


def test_mixes_are_read():
    assert parse_mix(["https=3,dns=1"]) == {"https": 3.0, "dns": 1.0}
    assert parse_mix(["https=3", "dns=0.5"]) == {"https": 3.0, "dns": 0.5}
    assert parse_mix(["chat, video=2,dns=1"]) == {"chat, video": 2.0, "dns": 1.0}


@pytest.mark.parametrize(
    "text", ["https", "https=", "https=0", "https=-1", "https=nan", "https=1,https=2", "=2", "a=1,b"]
)
def test_bad_mixes_are_refused(text):
    with pytest.raises(InputError, match="mix"):
        parse_mix([text])
