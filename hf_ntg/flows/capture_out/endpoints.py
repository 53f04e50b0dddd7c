"""Who talks to whom in a written capture: addresses, ports and protocol of flows that may lack them."""

from __future__ import annotations

import ipaddress
import math
import re
from dataclasses import dataclass

import numpy as np

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.schema import TCP, UDP

__all__ = ["SERVICES", "AddressPool", "service_ports", "service_protocols", "speaks_tls", "transport_protocols"]

SERVICES = {
    "dhcp": (UDP, 67), "dns": (UDP, 53), "doh": (TCP, 443), "dot": (TCP, 853), "ftp": (TCP, 21), "http": (TCP, 80),
    "http3": (UDP, 443), "https": (TCP, 443), "imap": (TCP, 143), "imaps": (TCP, 993), "mdns": (UDP, 5353),
    "mqtt": (TCP, 1883), "mqtts": (TCP, 8883), "ntp": (UDP, 123), "pop3": (TCP, 110), "quic": (UDP, 443),
    "rdp": (TCP, 3389), "rtsp": (TCP, 554), "sip": (UDP, 5060), "smb": (TCP, 445), "smtp": (TCP, 25),
    "smtps": (TCP, 465), "snmp": (UDP, 161), "ssdp": (UDP, 1900), "ssh": (TCP, 22), "ssl": (TCP, 443),
    "stun": (UDP, 3478), "telnet": (TCP, 23), "tls": (TCP, 443), "wireguard": (UDP, 51820),
}  # fmt: skip
"""Words of a label that name a service, with its protocol and port (IANA's service name registry)."""

_TLS_SERVICES = {"doh", "dot", "https", "imaps", "mqtts", "smtps", "ssl", "tls"}
_TLS_PORTS = (443, 465, 853, 993, 995, 5228, 8443, 8883)
_DEFAULT_SERVER_PORT = 443
_EPHEMERAL = (49_152, 65_536)  # RFC 6335, section 6
_LOWEST_CLIENT_PORT = 32_768  # what Linux draws from


def _service(label: str | None) -> str | None:
    """The first word of `label` that names a service."""
    words = re.split(r"[^a-z0-9]+", (label or "").lower())
    return next((word for word in words if word in SERVICES), None)


def _by_label(flows: FlowArrays, value) -> np.ndarray:
    """`value` of every flow's service, found once a distinct label."""
    found = {label: value(_service(label)) for label in set(flows.label)}
    return np.array([found[label] for label in flows.label])


def transport_protocols(flows: FlowArrays) -> np.ndarray:
    """Protocol of each flow: (N,) int32, 6 or 17.

    A flow without one is TCP where it has an empty packet or a window, or where its label names a TCP service
    (:data:`SERVICES`); else it is UDP. In the packet view ``payload``, where no flow has empty packets, it is UDP only
    if its label names a UDP service.

    Raises:
        InputError: a flow is neither TCP nor UDP.
    """
    known = np.full(len(flows), -1) if flows.protocol is None else flows.protocol
    other = (known >= 0) & (known != TCP) & (known != UDP)
    if other.any():
        row = int(np.argmax(other))
        name = row if flows.flow_id is None else flows.flow_id[row]
        raise InputError(f"flow {name}: protocol {known[row]}; captures are written of TCP (6) and UDP (17): remove it")
    sign = flows.payload_length == 0
    if flows.tcp_window is not None:
        sign = sign | (flows.tcp_window > 0)
    is_tcp = np.logical_or.reduceat(sign, flows.offsets[:-1])
    named = service_protocols(flows)
    is_tcp |= named == TCP
    if flows.view == "payload":
        is_tcp |= named != UDP
    return np.where(known >= 0, known, np.where(is_tcp, TCP, UDP)).astype(np.int32)


def service_protocols(flows: FlowArrays) -> np.ndarray:
    """(N,) protocol of the service that each flow's label names, -1 where it names none."""
    return _by_label(flows, lambda service: SERVICES[service][0] if service else -1)


def speaks_tls(flows: FlowArrays, server_port: np.ndarray) -> np.ndarray:
    """(N,) bool: the label names TLS or a service that it carries, or no service, and the port is one for TLS."""
    named = _by_label(flows, lambda service: service in _TLS_SERVICES)
    return named | (_by_label(flows, lambda service: service is None) & np.isin(server_port, _TLS_PORTS))


def service_ports(flows: FlowArrays, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Client and server ports: two (N,) int32 arrays.

    The server's is the flow's own; where it has none, that of the service its label names (:data:`SERVICES`), or 443.
    The client's is the flow's own where that is 32768 or more, else drawn from 49152 to 65535 (RFC 6335): another
    would make parsers take the flow for the service that is registered there.
    """
    client = rng.integers(*_EPHEMERAL, size=len(flows), dtype=np.int32)
    server = _by_label(flows, lambda service: SERVICES[service][1] if service else _DEFAULT_SERVER_PORT)
    if flows.source_port is not None:
        client = np.where(flows.source_port >= _LOWEST_CLIENT_PORT, flows.source_port, client)
    if flows.destination_port is not None:
        server = np.where(flows.destination_port > 0, flows.destination_port, server)
    return client, server


@dataclass(frozen=True)
class AddressPool:
    """A pair of addresses for every flow: no pair comes twice, and none says anything about the label.

    The place of a flow in its file and the seed alone decide. Clients come in a seeded walk that visits every host of
    their network; when it begins anew, each client meets the next server.
    """

    clients: ipaddress.IPv4Network | ipaddress.IPv6Network
    servers: ipaddress.IPv4Network | ipaddress.IPv6Network
    seed: int

    @classmethod
    def parse(cls, clients: str, servers: str, seed: int) -> AddressPool:
        """Read two networks in CIDR form.

        Raises:
            InputError: one is not a network, has fewer than four addresses, is public, or they differ in IP version
                or overlap.
        """
        networks = []
        for name, text in (("clients", clients), ("servers", servers)):
            try:
                network = ipaddress.ip_network(text)
            except ValueError as error:
                raise InputError(f"{name} {text!r}: {error}; give a network such as 10.0.0.0/8") from error
            if not network.is_private:
                raise InputError(f"{name} {text}: public addresses; give a private or documentation network")
            if network.num_addresses < 4:
                raise InputError(f"{name} {text}: too small a network; give one of at least 4 addresses")
            networks.append(network)
        if networks[0].version != networks[1].version:
            raise InputError(f"clients {clients} and servers {servers}: give both as IPv4 or both as IPv6")
        if networks[0].overlaps(networks[1]):
            raise InputError(f"clients {clients} and servers {servers} overlap: give two networks apart")
        return cls(*networks, seed)

    @property
    def version(self) -> int:
        """4 or 6."""
        return self.clients.version

    def pairs(self, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Addresses of the flows `first` to `first + count`: client and server, (count, 4 or 16) uint8 each.

        Raises:
            InputError: the networks hold fewer pairs than there are flows.
        """
        num_clients, num_servers = _num_hosts(self.clients), _num_hosts(self.servers)
        if first + count > num_clients * num_servers:
            raise InputError(
                f"{self.clients} and {self.servers} hold {num_clients * num_servers} pairs of addresses, too few for "
                "the flows; give wider networks"
            )
        turn, place = np.divmod(np.arange(first, first + count), num_clients)
        client = _walk(place, num_clients, self.seed)
        server = (_walk(place % num_servers, num_servers, self.seed + 1) + turn) % num_servers
        return _addresses(self.clients, client), _addresses(self.servers, server)


def _num_hosts(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> int:
    return min(network.num_addresses - 2, 2**31 - 1)  # the first address names the network, the last is broadcast


def _walk(place: np.ndarray, size: int, seed: int) -> np.ndarray:
    """A seeded permutation of 0 to `size`, at `place`: an affine map whose step shares no divisor with `size`."""
    rng = np.random.default_rng([seed, size])
    step, shift = (int(number) for number in rng.integers(1, size, size=2, endpoint=True))
    while math.gcd(step, size) > 1:
        step += 1
    return (place * step + shift) % size


def _addresses(network: ipaddress.IPv4Network | ipaddress.IPv6Network, host: np.ndarray) -> np.ndarray:
    """Addresses of the hosts `host` (from 0), as bytes in network order."""
    base = int(network.network_address)
    width = network.max_prefixlen // 8
    low = (host + 1 + base % 2**32).astype(">u4")  # a network of fewer than 2**32 addresses never carries over
    addresses = np.empty((len(host), width), dtype=np.uint8)
    addresses[:, :-4] = np.frombuffer((base >> 32).to_bytes(12, "big"), dtype=np.uint8)[16 - width :]
    addresses[:, -4:] = low.view(np.uint8).reshape(-1, 4)
    return addresses
