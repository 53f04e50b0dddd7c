import numpy as np
from written_flows import flow, table

from hf_ntg.codecs.flow_headers import (
    OTHER,
    count_headers,
    draw_client_ports,
    draw_headers,
    draw_ports,
    draw_server_ports,
    header_places,
    most_frequent,
    places_in,
)
from hf_ntg.flows.arrays import FlowArrays


def flows_to(*ports, protocol=6):
    return FlowArrays.from_dataset(table(*(flow("+1", protocol, destination_port=port) for port in ports)))


def test_rare_ports_count_as_one():
    arrays = flows_to(443, 443, 443, 443, 443, 9000, 9001)
    headers, counts = count_headers(arrays, np.array([0, 0, 0, 1, 1, 1, 1]), 2)
    assert headers == [[6, OTHER], [6, 443]]
    assert counts == [[0, 3], [2, 2]]
    assert header_places(headers, flows_to(443, 80)).tolist() == [1, 0]
    assert header_places(headers, flows_to(443, protocol=17)).tolist() == [-1]
    assert header_places([], arrays).tolist() == [-1] * 7


def test_headers_are_drawn_by_the_shares_of_their_class():
    classes = np.repeat([0, 1], 2_000)
    drawn = draw_headers([[0, 5], [3, 1]], classes, np.random.default_rng(0))
    assert (drawn[:2_000] == 1).all()
    assert abs((drawn[2_000:] == 0).mean() - 0.75) < 0.04
    assert (draw_headers([], classes, np.random.default_rng(0)) == -1).all()


def test_ports_without_a_header_of_their_own_are_drawn_in_range():
    found = draw_ports([[6, 443], [17, OTHER]], np.array([0, 1]), np.random.default_rng(0))
    assert found["protocol"].tolist() == [6, 17]
    assert found["destination_port"][0] == 443
    assert draw_ports([], np.array([0]), np.random.default_rng(0)) == {}
    ends = np.array([0, np.nextafter(1, 0)])
    assert draw_server_ports(ends).tolist() == [1_024, 65_535]
    assert draw_client_ports(ends).tolist() == [32_768, 60_999]


def test_frequent_values_and_their_places():
    values = np.array([7, 7, 7, 5, 5, 9])
    assert most_frequent(values, 2) == [7, 5]
    assert most_frequent(values, 9, at_least=2) == [7, 5]
    assert places_in(np.array([2, 5, 7]), np.array([7, 3, 2])).tolist() == [2, 3, 0]
