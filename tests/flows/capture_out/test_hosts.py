import ipaddress

import numpy as np
import pytest

from hf_ntg import InputError
from hf_ntg.flows.capture_out.hosts import HostModel

SECOND = 10**9


def texts(addresses):
    return [str(ipaddress.ip_address(address.tobytes())) for address in addresses]


@pytest.mark.parametrize(
    ("clients", "servers"),
    [
        ("192.0.2.7/32", "198.51.100.1/32"),
        ("192.0.2.0/31", "198.51.100.0/29"),
        ("10.0.0.0/8", "203.0.113.0/24"),
        ("2001:db8:1::/48", "fd00::/64"),
    ],
)
def test_networks_of_any_size(clients, servers):
    hosts = HostModel(clients, servers, 3)
    start = np.arange(2_000) * (SECOND // 10)  # less than 240 s, so that no pair is used again
    port = np.random.default_rng(0).integers(49_152, 65_536, 2_000)
    client, ports = hosts.client_ends(port, start, start + SECOND)
    pairs = list(zip(texts(client), ports.tolist(), strict=True))
    assert len(set(pairs)) == 2_000
    assert len(set(texts(client))) <= 256
    server = texts(hosts.server_addresses(np.array(["web", "dns"] * 10, object)))
    for found, network in ((texts(client)[:99], clients), (server, servers)):
        assert all(ipaddress.ip_address(one) in ipaddress.ip_network(network) for one in found)


def test_a_server_address_belongs_to_one_service():
    hosts = HostModel("10.0.0.0/8", "203.0.113.0/24", 0)
    labels = np.array([f"class {number % 80}" for number in range(4_000)], object)
    owners: dict[str, set[str]] = {}
    for address, label in zip(texts(hosts.server_addresses(labels)), labels, strict=True):
        owners.setdefault(address, set()).add(label)
    assert all(len(labels) == 1 for labels in owners.values())
    assert len(owners) == 240
    assert hosts.shared == 0
    hosts.server_addresses(np.array([f"other {number}" for number in range(20)], object))
    assert hosts.shared > 0


def test_a_port_is_used_again_four_minutes_after_its_flow():
    hosts = HostModel("10.0.0.1/32", "203.0.113.0/24", 0)
    for begin in (0, 100, 400):
        start = np.array([begin * SECOND])
        _, port = hosts.client_ends(np.array([50_000]), start, start + 10 * SECOND)
        assert (port[0] == 50_000) == (begin != 100)


def test_no_port_is_left():
    hosts = HostModel("10.0.0.1/32", "203.0.113.0/24", 0)
    count = 20_000
    with pytest.raises(InputError, match="wider network or a lower rate"):
        hosts.client_ends(np.full(count, 50_000), np.zeros(count, np.int64), np.full(count, SECOND))


@pytest.mark.parametrize(
    ("clients", "servers", "message"),
    [
        ("8.8.8.0/24", "10.0.0.0/8", "public"),
        ("10.0.0.0/33", "10.0.0.0/8", "10.0.0.0/33"),
        ("10.0.0.0/8", "2001:db8::/32", "both"),
        ("10.0.0.0/8", "10.1.0.0/16", "overlap"),
    ],
)
def test_networks_refused(clients, servers, message):
    with pytest.raises(InputError, match=message):
        HostModel(clients, servers, 0)
