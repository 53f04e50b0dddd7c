import pytest

from hf_ntg.models.baselines.budget_shares import budget_shares


@pytest.mark.parametrize("flows", [1e-3, 1.0, 150.0, 300.0, 900.0, 1e9])
def test_the_shares_are_the_whole_budget(flows):
    shares = budget_shares(flows, 1.0)
    assert sum(shares.values()) == pytest.approx(1.0)
    assert all(share > 0 for share in shares.values())


def test_pairs_are_counted_where_there_are_flows_for_it():
    found = [budget_shares(flows, noise)["pairs"] for flows, noise in ((100, 1), (500, 1), (2_000, 1), (2_000, 20))]
    assert found[0] < found[1] < found[2]
    assert found[3] == found[0], "noise counts as fewer flows"
