"""Payload bytes: zeros, plain noise, noise in TLS records, or noise that no parser takes for a message."""

from __future__ import annotations

import struct

import numpy as np

from hf_ntg.flows.schema import TCP, UDP

__all__ = ["PAYLOADS", "PayloadFiller"]

PAYLOADS = ("auto", "random", "tls", "zero")

_DNS = struct.pack(">HHHHH", 0x8000, 0, 0, 0, 0)  # after the identifier: a response without records (RFC 1035, 4.1.1)
_NTP = b"\x23"  # version 4, mode client (RFC 5905, section 7.3)
_DHCP = (  # a BOOTREQUEST over Ethernet, with empty fields and no option (RFC 2131, section 2; RFC 2132, section 2)
    struct.pack(">4BI2H", 1, 1, 6, 0, 0, 0, 0) + bytes(16) + b"\x02\0\0\0\0\x01" + bytes(10 + 64 + 128) + b"c\x82Sc\xff"
)
_EMPTY_MESSAGES = (  # UDP ports, number of bytes to leave unchanged, the bytes after them
    ((53, 5353, 5355, 137), 2, _DNS),
    ((123,), 0, _NTP),
    ((67, 68), 0, _DHCP),
    ((5683,), 0, b"\x50\x02"),  # a POST that asks for no acknowledgement (RFC 7252, section 3); then its identifier,
    ((5683,), 4, b"\xff"),  # and its payload
)
_MQTT_PORT, _MQTT_HEADER = 1883, 6
_MPEG_SYNC = 0x47  # begins the packets of an MPEG transport stream (ISO/IEC 13818-1), which are 188 bytes


class PayloadFiller:
    """Fills a buffer with payload of one of :data:`PAYLOADS`; packet headers overwrite parts of it later.

    ``random`` is seeded uniform noise, ``zero`` is zeros. ``tls`` and ``auto`` write the header of an application-data
    record where a packet begins one. ``auto`` also prevents parsers from recognising messages in the noise. Outside TLS
    records every byte has its high bit set, so that it is not text. The first byte of a datagram is that of protected
    QUIC; no message of RTP, STUN, DTLS or MPEG begins with it. Datagrams of DNS, DHCP, NTP and CoAP begin with the
    header of an empty message. Each MQTT packet is one message.

    On ports of other registered protocols Wireshark parses the noise as that protocol, and may mark packets malformed.

    Args:
        mode: one of :data:`PAYLOADS`.
        rng: source of the noise.
    """

    def __init__(self, mode: str, rng: np.random.Generator) -> None:
        self.mode, self.rng = mode, rng

    def buffer(self, size: int) -> np.ndarray:
        """Return a uint8 buffer filled with payload: an even number of bytes, at least `size` + 2."""
        words = size // 8 + 2
        if self.mode == "zero":
            return np.zeros(8 * words, dtype=np.uint8)
        return self.rng.integers(0, 2**64, size=words, dtype=np.uint64).astype("<u8", copy=False).view(np.uint8)

    def dress(self, buffer: np.ndarray, packets: np.ndarray, start: np.ndarray, size: np.ndarray) -> None:
        """Write protocol headers into the payloads of M packets.

        Args:
            buffer: filled by :meth:`buffer`, changed in place. packets: (M,).
            start: (M,) where the payload of each begins in `buffer`. size: (M,) bytes of its record.
        """
        in_record = packets["tls_record"] >= 0
        if self.mode == "auto":
            buffer[: size.sum()] |= np.repeat(np.where(in_record, 0, 0x80).astype(np.uint8), size)
            datagrams = start[(packets["protocol"] == UDP) & (packets["length"] > 0)]
            first = buffer[datagrams] & 0x3F | 0x40  # RFC 9000, section 17.3
            buffer[datagrams] = np.where(first == _MPEG_SYNC, 0x40, first)
            self._put_empty_messages(buffer, packets, start)
            self._put_mqtt_messages(buffer, packets, start)
        self._put_tls_headers(buffer, packets, start)

    @staticmethod
    def _put_tls_headers(buffer: np.ndarray, packets: np.ndarray, start: np.ndarray) -> None:
        """Write headers of TLS 1.2 application data; TLS 1.3 has the same version number (RFC 8446, section 5.1)."""
        record, skip = packets["tls_record"], packets["tls_skip"].astype(np.int64)
        octets = [np.full_like(record, value) for value in (23, 3, 3)] + [record >> 8, record & 0xFF]
        for place, value in enumerate(octets):
            rows = (record >= 0) & (place >= skip) & (place - skip < packets["length"])
            buffer[(start + place - skip)[rows]] = value[rows]

    @staticmethod
    def _put_empty_messages(buffer: np.ndarray, packets: np.ndarray, start: np.ndarray) -> None:
        port = _server_port(packets)
        for service_ports, skip, message in _EMPTY_MESSAGES:
            rows = (packets["protocol"] == UDP) & np.isin(port, service_ports)
            rows &= packets["length"] >= skip + len(message)
            place = start[rows, None] + skip + np.arange(len(message))
            buffer[place] = np.frombuffer(message, dtype=np.uint8)

    @staticmethod
    def _put_mqtt_messages(buffer: np.ndarray, packets: np.ndarray, start: np.ndarray) -> None:
        """Make each packet one message: noise published as topic "a" (MQTT 5.0, section 3.3), or a ping if short."""
        length = packets["length"].astype(np.int64)
        rows = (packets["protocol"] == TCP) & (_server_port(packets) == _MQTT_PORT) & (packets["tls_record"] < 0)
        published = np.flatnonzero(rows & (length > _MQTT_HEADER) & (length < 2**14))
        remaining = length[published] - 3
        header = np.empty((len(published), _MQTT_HEADER), dtype=np.uint8)
        header[:] = [0x30, 0, 0, 0, 1, ord("a")]
        header[:, 1], header[:, 2] = remaining & 0x7F | 0x80, remaining >> 7
        buffer[start[published, None] + np.arange(_MQTT_HEADER)] = header
        pings = np.flatnonzero(rows & (length >= 2) & (length <= _MQTT_HEADER))
        buffer[start[pings]], buffer[start[pings] + 1] = 0xC0, length[pings] - 2


def _server_port(packets: np.ndarray) -> np.ndarray:
    return np.where(packets["upstream"], packets["destination_port"], packets["source_port"])
