"""Chooses protocol and ports for flows without them, from their labels and packets."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.schema import TCP, UDP

__all__ = [
    "CLIENT_PORTS",
    "SERVICES",
    "client_ports",
    "service_ports",
    "service_protocols",
    "speaks_tls",
    "transport_protocols",
]

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
# Ports in that range that Wireshark 4 takes for a service (tshark -G decodes), whatever the other port is.
_CLAIMED = (
    49_999, 54_328, 56_000, 56_001, 56_500, 56_501, 57_000, 57_001, 57_032, 57_033, 57_500, 57_501, 57_532, 57_533,
    59_000, 59_001, 59_032, 59_033, 59_500, 59_501, 59_532, 59_533, 60_001,
)  # fmt: skip
CLIENT_PORTS = np.setdiff1d(np.arange(*_EPHEMERAL), _CLAIMED)
"""Ports of clients that no parser takes for a service's, ascending."""
_LOWEST_CLIENT_PORT = 32_768  # lowest client port of Linux


def _service(label: str | None) -> str | None:
    """Return the first word of `label` that names a service."""
    words = re.split(r"[^a-z0-9]+", (label or "").lower())
    return next((word for word in words if word in SERVICES), None)


def _by_label(flows: FlowArrays, value: Callable[[str | None], object]) -> np.ndarray:
    """Return `value` for every flow's service; it is computed once per distinct label."""
    found = {label: value(_service(label)) for label in set(flows.label)}
    return np.array([found[label] for label in flows.label])


def transport_protocols(flows: FlowArrays) -> np.ndarray:
    """Return the protocol of each flow: (N,) int32, 6 or 17.

    A flow without one is TCP if it has an empty packet or a window, or if its label names a TCP service
    (:data:`SERVICES`); otherwise it is UDP. In the packet view ``payload``, where no flow has empty packets, it is UDP
    only if its label names a UDP service.

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
    """Return the protocol of the service that each flow's label names, (N,); -1 if it names none."""
    return _by_label(flows, lambda service: SERVICES[service][0] if service else -1)


def speaks_tls(flows: FlowArrays, server_port: np.ndarray) -> np.ndarray:
    """Return whether a flow carries TLS, (N,) bool.

    It does if its label names TLS or a service over TLS, or if the label names no service and the port is one for TLS.
    """
    named = _by_label(flows, lambda service: service in _TLS_SERVICES)
    return named | (_by_label(flows, lambda service: service is None) & np.isin(server_port, _TLS_PORTS))


def client_ports(rng: np.random.Generator, count: int) -> np.ndarray:
    """Draw `count` ports of clients from 49152 to 65535 (RFC 6335): (count,) int32.

    Parsers would take a lower port for the service registered there, and a few of these too; their successors are
    drawn instead.
    """
    ports = rng.integers(*_EPHEMERAL, size=count, dtype=np.int32)
    while (claimed := np.isin(ports, _CLAIMED)).any():
        ports[claimed] += 1
    return ports


def service_ports(flows: FlowArrays, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return client and server ports: two (N,) int32 arrays.

    The server's port is the flow's own. A flow without one gets the port of the service that its label names
    (:data:`SERVICES`), or 443. The client's port is the flow's own if that is at least 32768. Otherwise it is drawn
    by :func:`client_ports`.
    """
    client = client_ports(rng, len(flows))
    server = _by_label(flows, lambda service: SERVICES[service][1] if service else _DEFAULT_SERVER_PORT)
    if flows.source_port is not None:
        client = np.where(flows.source_port >= _LOWEST_CLIENT_PORT, flows.source_port, client)
    if flows.destination_port is not None:
        server = np.where(flows.destination_port > 0, flows.destination_port, server)
    return client, server
