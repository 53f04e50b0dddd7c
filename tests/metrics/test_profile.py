import numpy as np
import pytest
from made_flows import table

from hf_ntg.metrics.profile import LENGTH_EDGES, describe_flows


def test_shares_of_lengths_by_position_and_direction():
    flows = table(("a", ["+0", "-1460"], [0.0, 0.5]), ("a", ["+0", "+9000", "-1"], [0.0, 0.25, 1.0]))
    found = describe_flows({"real": flows}, max_packets=2)["sets"]["real"]["a"]
    upstream, downstream = np.array(found["upstream"]), np.array(found["downstream"])
    assert found["flows"] == 2
    assert upstream.shape == downstream.shape == (2, len(LENGTH_EDGES) + 1)
    assert upstream[0, 0] == 1  # both flows begin with an empty packet
    assert (upstream[1, -1], downstream[1, -2]) == (0.5, 0.5)  # 9,000 bytes are above the last edge, 1,460 are not
    assert upstream.sum() + downstream.sum() == 2
    assert (found["payload_length"][0], found["payload_length"][-1]) == (0, 9000)
    assert found["inter_arrival_time"][0] == pytest.approx(0.25)
    assert found["inter_arrival_time"][-1] == pytest.approx(0.5)  # the third packet is cut off


def test_the_largest_classes_of_the_first_set_are_described():
    real = table(("a", [1]), *[("b", [1])] * 3, *[("c", [1])] * 2)
    found = describe_flows({"real": real, "synthetic": table(("c", [1]), ("d", [1]))}, max_classes=2)
    assert (found["classes"], found["left_out"]) == (["b", "c"], 1)
    assert [sorted(classes) for classes in found["sets"].values()] == [["b", "c"], ["c"]]
    assert found["sets"]["real"]["c"]["inter_arrival_time"] is None
