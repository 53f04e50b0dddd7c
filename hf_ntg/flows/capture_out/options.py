"""The options of a written capture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from hf_ntg.errors import InputError
from hf_ntg.flows.capture_out.payload import PAYLOADS

__all__ = ["CaptureOptions", "parse_rates", "parse_start"]

_MAX_IP = 65_535
_SMALLEST_MTU = 1_280  # RFC 8200, section 5
_END_OF_TIME = 2**32 - 1.0  # seconds since 1970 that fit 32 bits


@dataclass(frozen=True)
class CaptureOptions:
    """Options for writing flows.

    Args:
        rate: flows that start per second, on average; the start times are a Poisson process.
        class_rates: rates of individual classes, by label; the other classes share `rate`.
        mix: shuffle the flows, so that classes interleave in time; otherwise they keep their order.
        start_time: start of the capture, seconds since 1970 (UTC).
        complete: add what TCP flows lack: handshake, acknowledgements, closing. If false, only the flow's own packets
            are written, as in a capture that begins and ends in the middle of conversations.
        mss: largest TCP payload of a packet, announced in SYNs; longer payloads are cut. If None, what the MTU
            allows (1460 for IPv4 and 1440 for IPv6). A packet holds at most one TLS record, 16389 bytes.
        mtu: longest IP packet; a longer UDP datagram is written as IP fragments.
        clients, servers: private or documentation networks of any size, IPv4 or IPv6.
        payload: ``random``, ``zero``, ``tls`` (TCP payload in TLS application-data records), or ``auto``. With
            ``auto``, a flow gets TLS records if its label names TLS or its server port is one for TLS. Otherwise it
            gets noise that parsers do not recognise as a protocol; see
            :class:`~hf_ntg.flows.capture_out.payload.PayloadFiller`.
        mark: IPv4 identification (IPv6: flow label) of every packet, which marks the traffic as synthetic. Added
            packets have ``mark + 1``. The fragments of each datagram have their own number above that.
        dns: add the look-ups of the servers' names before flows, see
            :class:`~hf_ntg.flows.capture_out.lookups.Lookups`. They are flows of the class ``dns-lookup``.
    """

    rate: float = 10.0
    class_rates: Mapping[str, float] = field(default_factory=dict)
    mix: bool = True
    start_time: float = 1_577_836_800.0
    complete: bool = True
    mss: int | None = None
    mtu: int = 1_500
    clients: str = "10.0.0.0/8"
    servers: str = "203.0.113.0/24"
    payload: str = "auto"
    mark: int = 0x4E54
    dns: bool = False

    def __post_init__(self) -> None:
        for name, rate in {"": self.rate, **self.class_rates}.items():
            if not 0 < rate < float("inf"):
                of = f" of {name!r}" if name else ""
                raise InputError(f"rate{of} {rate}: give a positive number of flows a second")
        if not 0 <= self.start_time < _END_OF_TIME:
            raise InputError(f"start_time {self.start_time}: give seconds since 1970, up to 2106")
        if self.payload not in PAYLOADS:
            raise InputError(f"payload {self.payload!r}: choose one of {', '.join(PAYLOADS)}")
        if not 0 <= self.mark < 2**16 - 1:
            raise InputError(f"mark {self.mark}: give a number of 16 bits, below 65535")
        if self.mss is not None and not 1 <= self.mss <= _MAX_IP - 40:
            raise InputError(f"mss {self.mss}: give 1 to {_MAX_IP - 40} bytes")
        if not _SMALLEST_MTU <= self.mtu <= _MAX_IP:
            raise InputError(f"mtu {self.mtu}: give {_SMALLEST_MTU} to {_MAX_IP} bytes")


def parse_rates(texts: list[str]) -> dict[str, float]:
    """Parse rates of classes from texts ``LABEL=RATE``.

    Raises:
        InputError: a text does not have this form.
    """
    rates = {}
    for text in texts:
        label, _, rate = text.rpartition("=")
        try:
            rates[label] = float(rate)
        except ValueError:
            label = ""
        if not label:
            raise InputError(f"class rate {text!r}: give LABEL=RATE, such as https=3")
    return rates


def parse_start(text: str) -> float:
    """Parse seconds since 1970 from a number, or from a date and time (ISO 8601; UTC if it has no time zone).

    Raises:
        InputError: the text is neither.
    """
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"start {text!r}: give seconds since 1970, or a date such as 2024-05-01T08:00") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
