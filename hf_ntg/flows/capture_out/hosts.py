"""Assigns hosts to flows: clients with many flows, servers with one service, and ports that TCP may reuse."""

from __future__ import annotations

import ipaddress
import math
from dataclasses import dataclass

import numpy as np

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import ragged_positions
from hf_ntg.flows.capture_out.endpoints import client_ports

__all__ = ["HostModel", "Network"]

_MOST_CLIENTS = 256
_SERVERS_OF_SERVICE = 3
_MANY_SERVERS = 64  # in smaller networks, every service gets one server
_REUSE_AFTER = 240_000_000_000  # ns of TIME-WAIT, twice the maximum segment lifetime (RFC 9293, section 3.4.2)
_TRIES = 4_096


@dataclass(frozen=True)
class Network:
    """A private or documentation network whose hosts are numbered from 0, in a seeded order.

    Attributes:
        network: a network of any size, even a single address. seed: seed of the order.
    """

    network: ipaddress.IPv4Network | ipaddress.IPv6Network
    seed: int

    @classmethod
    def parse(cls, name: str, text: str, seed: int) -> Network:
        """Read a network in CIDR form. `name` is the name of the option, for messages.

        Raises:
            InputError: the text is not a network, or the network is public.
        """
        try:
            network = ipaddress.ip_network(text)
        except ValueError as error:
            raise InputError(f"{name} {text!r}: {error}; give a network such as 10.0.0.0/8") from error
        if not network.is_private:
            raise InputError(f"{name} {text}: public addresses; give a private or documentation network")
        return cls(network, seed)

    @property
    def num_hosts(self) -> int:
        """Number of addresses for hosts. If there are more than two, the first and the last are not counted."""
        count = self.network.num_addresses
        return count if count <= 2 else min(count - 2, 2**31 - 1)

    def addresses(self, host: np.ndarray) -> np.ndarray:
        """Return the addresses of the hosts `host`, (n, 4 or 16) uint8 in network order."""
        base = int(self.network.network_address) + (self.network.num_addresses > 2)
        width = self.network.max_prefixlen // 8
        low = (_walk(host, self.num_hosts, self.seed) + base % 2**32).astype(">u4")  # hosts fit the low 32 bits
        found = np.empty((len(host), width), dtype=np.uint8)
        found[:, :-4] = np.frombuffer((base >> 32).to_bytes(12, "big"), dtype=np.uint8)[16 - width :]
        found[:, -4:] = low.view(np.uint8).reshape(-1, 4)
        return found


class HostModel:
    """Assigns clients, client ports and servers to flows, in the order in which they begin.

    At most 256 hosts of the clients' network are clients. A client reuses a port only after every other client has
    used it, and at least 240 s after the end of the flow that used it before. Each label is a service with up to three
    server addresses of its own, as long as the network has enough addresses.

    Args:
        clients, servers: networks in CIDR form, IPv4 or IPv6. seed: seed of all random choices.
        with_resolver: keep one host of the clients' network as their resolver of names.

    Attributes:
        shared: services that share a server address because the network is too small.

    Raises:
        InputError: a network cannot be read or is public, the two differ in IP version or overlap, or the clients'
            network has no address for the resolver.
    """

    def __init__(self, clients: str, servers: str, seed: int, with_resolver: bool = False) -> None:
        self.clients, self.servers = (
            Network.parse("clients", clients, seed),
            Network.parse("servers", servers, seed + 1),
        )
        one, other = self.clients.network, self.servers.network
        if one.version != other.version:
            raise InputError(f"clients {clients} and servers {servers}: give both as IPv4 or both as IPv6")
        if one.overlaps(other):
            raise InputError(f"clients {clients} and servers {servers} overlap: give two networks apart")
        self.shared = 0
        self._rng = np.random.default_rng([seed, 2])
        if with_resolver and self.clients.num_hosts < 2:
            raise InputError(f"clients {clients}: one address; a client and its resolver of names (DNS) need two")
        self._num_clients = min(self.clients.num_hosts - with_resolver, _MOST_CLIENTS)
        self._first_client = self._rng.integers(0, self._num_clients, size=65_536)  # the first client to use each port
        self._uses = np.zeros(65_536, np.int64)
        self._services: dict[str | None, int] = {}
        self._used = np.empty(0, np.int64), np.empty(0, np.int64)  # (client and port as one number, end of the flow)
        self._is_crowded = False

    @property
    def version(self) -> int:
        """IP version, 4 or 6."""
        return self.clients.network.version

    @property
    def resolver(self) -> np.ndarray:
        """The address, (4 or 16,) uint8, of the host that follows the clients."""
        return self.clients.addresses(np.array([self._num_clients]))[0]

    def client_ends(self, port: np.ndarray, start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the client addresses and ports of the next flows: (n, 4 or 16) uint8 and (n,).

        Args:
            port: (n,) wanted client ports. start, end: (n,) ns, when the flows begin and end; `start` ascends.

        Raises:
            InputError: all clients have all ports in use.
        """
        order = np.argsort(port, kind="stable")
        turn = np.empty(len(port), np.int64)
        turn[order] = ragged_positions(np.unique(port, return_counts=True)[1])
        turn += self._uses[port]
        client, port = (self._first_client[port] + turn) % self._num_clients, port.astype(np.int64)
        np.add.at(self._uses, port, 1)
        self._is_crowded |= bool((turn >= self._num_clients).any())
        key = client << 16 | port
        keep = self._used[1] + _REUSE_AFTER > start[0]
        used = self._used[0][keep], self._used[1][keep]
        if self._is_crowded:
            key = self._without_conflicts(key, start, end, dict(zip(used[0].tolist(), used[1].tolist(), strict=True)))
        self._used = np.concatenate([used[0], key]), np.concatenate([used[1], end])
        return self.clients.addresses(key >> 16), key & 0xFFFF

    def server_addresses(self, labels: np.ndarray) -> np.ndarray:
        """Return the server addresses of flows with these `labels`, (n, 4 or 16) uint8."""
        count = self.servers.num_hosts
        each = _SERVERS_OF_SERVICE if count >= _MANY_SERVERS else 1
        for label in labels:
            if label not in self._services:
                self._services[label] = len(self._services)
                self.shared += each * len(self._services) > count
        service = np.array([self._services[label] for label in labels], np.int64)
        return self.servers.addresses((each * service + self._rng.integers(0, each, size=len(labels))) % count)

    def _without_conflicts(
        self, key: np.ndarray, start: np.ndarray, end: np.ndarray, used: dict[int, int]
    ) -> np.ndarray:
        """Return `key`, with another client or another port for flows whose wanted pair is in use."""
        found = key.copy()
        for row, (wanted, begin, until) in enumerate(zip(key.tolist(), start.tolist(), end.tolist(), strict=True)):
            chosen = self._free(wanted, begin - _REUSE_AFTER, used)
            used[chosen] = until
            found[row] = chosen
        return found

    def _free(self, wanted: int, before: int, used: dict[int, int]) -> int:
        """Return a client and port that no flow used after `before`.

        Try the `wanted` pair first, then other clients, then other ports.
        """
        client, port = wanted >> 16, wanted & 0xFFFF
        for step in range(max(_TRIES, self._num_clients)):
            key = ((client + step) % self._num_clients) << 16 | port
            if used.get(key, before - 1) < before:
                return key
            if step % self._num_clients == self._num_clients - 1:
                port = int(client_ports(self._rng, 1)[0])
        raise InputError(
            f"clients {self.clients.network}: every port is in use or was until less than 240 s ago, as TCP wants it; "
            "give a wider network or a lower rate"
        )


def _walk(place: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Return the values at `place` of a seeded permutation of 0 to `size` - 1.

    The permutation is an affine map whose step shares no divisor with `size`.
    """
    rng = np.random.default_rng([seed, size])
    step, shift = (int(number) for number in rng.integers(1, size, size=2, endpoint=True))
    while math.gcd(step, size) > 1:
        step += 1
    return (place * step + shift) % size
