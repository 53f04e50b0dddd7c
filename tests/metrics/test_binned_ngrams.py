import numpy as np
import pytest
from made_flows import table, two_services

from hf_ntg.metrics.binned_ngrams import binned_ngrams


def test_a_case_computed_by_hand():
    """One class; lengths from 0 to 1,000 upstream, so a bin is 100 bytes wide.

    Real windows of one packet: 0, 1000, 0, 1000: half in bin 0, half in bin 9. Synthetic: 50, 950, 60, 60: three in bin
    0, one in bin 9. Of two packets: real (0, 9) twice; synthetic (0, 9) and (0, 0). All packets go up: no distance.
    """
    real = table(("a", ["+0", 1000]), ("a", ["+0", 1000]))
    synthetic = table(("a", [50, 950]), ("a", [60, 60]))
    found = binned_ngrams(real, synthetic)
    measures = found["measures"]

    p, q = np.array([0.5, 0.5]), np.array([0.75, 0.25])
    middle = (p + q) / 2
    divergence = (p @ np.log2(p / middle) + q @ np.log2(q / middle)) / 2
    assert measures["jensen_shannon"]["payload_length"]["1"]["overall"] == pytest.approx(divergence)
    assert measures["total_variation"]["payload_length"]["1"]["overall"] == pytest.approx(0.25)
    assert measures["hellinger"]["payload_length"]["1"]["overall"] == pytest.approx(
        np.sqrt(((np.sqrt(p) - np.sqrt(q)) ** 2).sum() / 2)
    )
    second = (np.log2(1 / 0.75) + 0.5 * np.log2(0.5 / 0.75) + 0.5 * np.log2(0.5 / 0.25)) / 2
    assert measures["jensen_shannon"]["payload_length"]["2"]["overall"] == pytest.approx(second)
    assert measures["total_variation"]["payload_length"]["2"]["overall"] == pytest.approx(0.5)
    for length in "123":
        assert measures["jensen_shannon"]["direction"][length]["overall"] == 0
    assert measures["hellinger"]["payload_length"]["3"]["overall"] == 0  # no window of three on either side
    assert found["overall"] == pytest.approx((divergence + second) / 6)
    assert found["per_class"] == {"a": pytest.approx((divergence + second) / 6)}


def test_lengths_are_signed_and_directions_apart():
    up, down = table(("a", [100, 200])), table(("a", [-100, -200]))
    found = binned_ngrams(up, down)["measures"]["total_variation"]
    assert found["direction"]["1"]["overall"] == 0  # one real value: a single bin holds everything
    both = table(("a", [100, -100]))
    found = binned_ngrams(both, up)["measures"]["total_variation"]
    assert found["direction"]["1"]["overall"] == 0.5
    assert found["payload_length"]["1"]["overall"] == 0.5


def test_values_outside_the_real_range_count_in_the_outermost_bins():
    real = table(("a", [100]), ("a", [200]))
    found = binned_ngrams(real, table(("a", [1]), ("a", [1400])))["measures"]["jensen_shannon"]["payload_length"]
    assert found["1"]["overall"] == 0


def test_an_end_is_no_window():
    real = table(("a", [1, 2, 3]), ("a", [1]))
    longer = table(("a", [1, 2, 3]), ("a", [1]), ("a", [2]), ("a", [3]))
    measures = binned_ngrams(real, longer)["measures"]["jensen_shannon"]["payload_length"]
    assert measures["2"]["overall"] == measures["3"]["overall"] == 0
    only_short = binned_ngrams(real, table(("a", [1])))["measures"]["jensen_shannon"]["payload_length"]
    assert only_short["2"]["overall"] == only_short["3"]["overall"] == 1


def test_classes_are_kept_apart_and_missing_ones_score_worst():
    real = two_services(30, seed=0)
    only_web = real.filter(lambda row: row["label"] == "web")
    found = binned_ngrams(real, only_web)
    assert found["missing"] == ["mail"]
    assert found["per_class"] == {"mail": 1, "web": 0}
    floor = binned_ngrams(two_services(30, seed=1), real)["overall"]
    swapped = real.map(lambda row: {"label": {"web": "mail", "mail": "web"}[row["label"]]})
    assert floor < 0.05 < 0.2 < binned_ngrams(real, swapped)["overall"]
