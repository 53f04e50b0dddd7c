from hf_ntg.flows.capture_in import fragments
from hf_ntg.flows.capture_in.fragments import FragmentTable

SECOND = 10**9


def test_ports_are_known_for_thirty_seconds_in_both_directions_of_time():
    table = FragmentTable()
    table.remember(("a", 1), (4000, 53), 100 * SECOND)
    assert table.ports(("a", 1), 130 * SECOND) == table.ports(("a", 1), 70 * SECOND) == (4000, 53)
    assert table.ports(("a", 1), 131 * SECOND) is None
    assert table.ports(("a", 2), 100 * SECOND) is None


def test_the_oldest_packet_is_forgotten_first(monkeypatch):
    monkeypatch.setattr(fragments, "_MOST_KNOWN", 2)
    table = FragmentTable()
    for number in (1, 2, 1, 3):
        table.remember(("a", number), (number, 53), 0)
    assert [table.ports(("a", number), 0) for number in (1, 2, 3)] == [(1, 53), None, (3, 53)]
