"""The vocabulary of a private model: fixed before the flows are seen, or taken from a public model.

A vocabulary that follows the flows (their ports, longest payloads, quantiles of times) would tell about single flows.
"""

from __future__ import annotations

import numpy as np

from hf_ntg.codecs.flow_grammar import FlowGrammar
from hf_ntg.codecs.flow_headers import OTHER
from hf_ntg.codecs.time_bins import PARTS
from hf_ntg.flows.schema import TCP, UDP

__all__ = ["PUBLIC_PORTS", "public_grammar", "public_time_knots"]

# Destination ports of common services (IANA registry, and widespread use). All others are one word.
PUBLIC_PORTS = (
    *(20, 21, 22, 23, 25, 53, 67, 68, 69, 80, 110, 111, 119, 123, 135, 137, 138, 139, 143, 161, 162, 179, 194, 389),
    *(427, 443, 445, 465, 500, 502, 514, 515, 548, 554, 587, 631, 636, 853, 873, 989, 990, 993, 995, 1080, 1194),
    *(1433, 1521, 1701, 1723, 1883, 1900, 1935, 2049, 3128, 3268, 3306, 3389, 3478, 4500, 5004, 5060, 5061, 5222),
    *(5223, 5228, 5353, 5355, 5432, 5671, 5672, 5683, 5900, 5938, 6379, 6443, 6667, 6881, 8000, 8080, 8443, 8883),
    *(9000, 9092, 9200, 9418, 11211, 27017, 51820),
)
PUBLIC_PROTOCOLS = (OTHER, TCP, UDP)
LEAST_TIME, MOST_TIME = 1e-6, 1e2  # seconds; shorter times decode to 0, longer ones to the last bin


def public_time_knots(bins: int) -> tuple[float, ...]:
    """Knots of `bins` time bins, bin 0 included, of equal width on a log scale from a microsecond to 100 s."""
    steps = max(bins - 1, 1)
    edges = np.logspace(np.log10(LEAST_TIME), np.log10(MOST_TIME), steps * PARTS + 1)
    return tuple(edges[(np.arange(steps)[:, None] * PARTS + np.arange(PARTS + 1)).ravel()].tolist())


def public_grammar(
    labels: list[str | None],
    label_counts: list[int],
    *,
    max_packets: int,
    max_payload: int,
    header: bool,
    times: bool,
    time_bins: int,
    view: str,
    public: FlowGrammar | None = None,
) -> FlowGrammar:
    """A grammar that depends on no flow.

    Args:
        labels: names of the classes, public. label_counts: private counts of their flows.
        header, times: whether sentences hold protocol and port, and times.
        public: grammar of a public model. Its ports, protocols, longer lengths and time bins are taken, where it has
            them.
    """
    words = public if public is not None and public.has_header else None
    bins = public if public is not None and public.has_times else None
    longer = public.extra_lengths if public is not None else ()
    return FlowGrammar(
        labels=tuple(labels),
        label_counts=tuple(label_counts),
        max_packets=max_packets,
        max_payload=max_payload,
        extra_lengths=tuple(length for length in longer if length > max_payload),
        protocols=() if not header else words.protocols if words else PUBLIC_PROTOCOLS,
        ports=() if not header else words.ports if words else PUBLIC_PORTS,
        time_knots=() if not times else bins.time_knots if bins else public_time_knots(time_bins),
        view=view,
    )
