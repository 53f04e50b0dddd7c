"""Protocols and ports in both codecs: which of them have their own code, and how the others are drawn."""

from __future__ import annotations

import numpy as np

from hf_ntg.flows.arrays import FlowArrays

__all__ = [
    "MAX_PORTS",
    "MIN_PORT_FLOWS",
    "OTHER",
    "count_headers",
    "draw_client_ports",
    "draw_headers",
    "draw_ports",
    "draw_server_ports",
    "has_headers",
    "header_places",
    "most_frequent",
    "places_in",
]

EPHEMERAL_PORTS = (32_768, 60_999)  # the range from which Linux takes client ports
OTHER_PORTS = (1_024, 65_535)
OTHER = -2  # a protocol or port without its own code; -1 is one that is unknown in the table
MAX_PORTS = 64
MIN_PORT_FLOWS = 5


def has_headers(arrays: FlowArrays) -> bool:
    """Whether the flows have columns for protocol and destination port."""
    return arrays.protocol is not None and arrays.destination_port is not None


def count_headers(arrays: FlowArrays, classes: np.ndarray, num_classes: int) -> tuple[list, list]:
    """Distinct (protocol, port) pairs, and their number of flows in each class.

    Ports outside the 64 most frequent, or with fewer than 5 flows, count as one port, ``OTHER``. Both lists are empty
    where the flows have no such columns.

    Args:
        classes: (N,) class of each flow.
    """
    if arrays.protocol is None or arrays.destination_port is None:
        return [], []
    frequent = most_frequent(arrays.destination_port, MAX_PORTS, MIN_PORT_FLOWS)
    port = np.where(np.isin(arrays.destination_port, frequent), arrays.destination_port, OTHER)
    pairs, place = np.unique(np.stack([arrays.protocol, port], axis=1), axis=0, return_inverse=True)
    counts = np.zeros((num_classes, len(pairs)), dtype=np.int64)
    np.add.at(counts, (classes, place.ravel()), 1)
    return pairs.tolist(), counts.tolist()


def header_places(headers: list[list[int]], arrays: FlowArrays) -> np.ndarray:
    """(N,) place of each flow's (protocol, port) among `headers`.

    A port without a header of its own takes the protocol's ``OTHER``; -1 where that is missing too, or where the flows
    have no such columns.
    """
    places = np.full(len(arrays), -1, dtype=np.int64)
    if headers and arrays.protocol is not None and arrays.destination_port is not None:
        known = {tuple(pair): place for place, pair in enumerate(headers)}
        for i, pair in enumerate(zip(arrays.protocol.tolist(), arrays.destination_port.tolist(), strict=True)):
            places[i] = known.get(pair, known.get((pair[0], OTHER), -1))
    return places


def draw_headers(counts: list[list[int]], classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N,) place of a header for each of `classes`, drawn by the class's row of `counts`; -1 without counts."""
    drawn = np.full(len(classes), -1, dtype=np.int64)
    if counts:
        chance = rng.random(len(classes))
        for k in np.unique(classes):
            shares = np.cumsum(counts[k]) / np.sum(counts[k])
            drawn[classes == k] = np.searchsorted(shares, chance[classes == k], side="right")
    return drawn


def draw_ports(headers: list[list[int]], places: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Columns ``protocol``, ``destination_port`` and ``source_port`` (N,) for flows with the headers at `places`.

    Ports without a header of their own, and client ports, are drawn at random. Empty without `headers`.
    """
    if not headers:
        return {}
    protocol, port = np.array(headers, dtype=np.int64)[places].T
    drawn = draw_server_ports(rng.random(len(places)))
    return {
        "protocol": protocol,
        "destination_port": np.where(port == OTHER, drawn, port),
        "source_port": draw_client_ports(rng.random(len(places))),
    }


def draw_server_ports(uniforms: np.ndarray) -> np.ndarray:
    """Destination ports without a code: map numbers in [0, 1) to ports from 1,024 to 65,535, (N,)."""
    return _port_at(uniforms, OTHER_PORTS)


def draw_client_ports(uniforms: np.ndarray) -> np.ndarray:
    """Ephemeral source ports for numbers in [0, 1): (N,)."""
    return _port_at(uniforms, EPHEMERAL_PORTS)


def _port_at(uniforms: np.ndarray, bounds: tuple[int, int]) -> np.ndarray:
    return bounds[0] + (uniforms * (bounds[1] + 1 - bounds[0])).astype(np.int64)


def most_frequent(values: np.ndarray, most: int, at_least: int = 1) -> list[int]:
    """The `most` most frequent values that occur at least `at_least` times, most frequent first."""
    found, counts = np.unique(values, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:most]
    return found[order[counts[order] >= at_least]].tolist()


def places_in(known: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Place of each of `values` in the ascending array `known`; ``len(known)`` where it is not there."""
    place = np.searchsorted(known, values)
    return np.where(np.isin(values, known), place, len(known))
