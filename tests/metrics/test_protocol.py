import pytest
from made_flows import table

from hf_ntg.metrics.protocol import validity

OPENING = ["+0", "-0", "+0"]


@pytest.mark.parametrize(
    ("protocol", "packets", "failed"),
    [
        (6, [*OPENING, 500, -1460], None),
        (6, ["+0", "-0", 40], None),
        (6, ["+0", "-0"], None),
        (6, ["-0", "+0", "+0"], "handshake"),
        (6, ["+0", "-0", "-0"], "handshake"),
        (6, [10, -20, 30], "handshake"),
        (6, [*OPENING, -1461], "segment_size"),
        (6, [*OPENING, "-0", "-0", "-0"], "empty_run"),
        (6, [*OPENING, "-0", "-0", "+0"], None),
        (17, [1472, -1472], None),
        (17, [1473], "datagram_size"),
        (17, ["+0", "+0", "+0"], None),
    ],
)
def test_each_check(protocol, packets, failed):
    flows = table(("a", packets, [0.0] * len(packets)), protocol=[protocol])
    found = validity(flows, flows)
    assert found["overall"] == (failed is None)
    assert [name for name, share in found["checks"].items() if share == 0] == [failed] * (failed is not None)
    assert found["real"]["checks"] == found["checks"]


def test_the_first_time_is_none():
    flows = table(("a", OPENING, [0.5, 0, 0]), protocol=[6])
    assert validity(flows, flows)["checks"]["times"] == 0


def test_shares_and_sets_without_a_protocol():
    flows = table(("a", OPENING), ("a", [1]), ("b", [1473]), ("b", [9]), protocol=[6, 17, 17, 17])
    found = validity(flows, flows)
    assert found["overall"] == 0.75
    assert found["per_class"] == {"a": 1, "b": 0.5}
    assert found["checks"]["datagram_size"] == pytest.approx(2 / 3)
    assert found["checks"]["handshake"] == 1
    assert "times" not in found["checks"]
    bare = table(("a", OPENING))
    assert validity(flows, bare)["overall"] is None
    assert validity(bare, flows)["overall"] == 0.75
