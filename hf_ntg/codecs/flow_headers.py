"""Protocol and destination port of a flow as one of a few headers, and source ports that no model learns."""

from __future__ import annotations

import numpy as np

from hf_ntg.flows.arrays import FlowArrays

__all__ = ["count_headers", "draw_headers", "draw_ports", "header_places", "most_frequent"]

EPHEMERAL_PORTS = (32_768, 60_999)  # the range Linux hands out to clients
OTHER_PORTS = (1_024, 65_535)
OTHER_PORT = -2  # a port without a header of its own; -1 is a port that is not known
MAX_PORTS = 64
MIN_PORT_FLOWS = 5


def count_headers(arrays: FlowArrays, classes: np.ndarray, num_classes: int) -> tuple[list, list]:
    """Distinct (protocol, port) pairs, rare ports as one, and how many flows of each class have each.

    Two empty lists where the flows have no such columns.
    """
    if arrays.protocol is None or arrays.destination_port is None:
        return [], []
    frequent = most_frequent(arrays.destination_port, MAX_PORTS, MIN_PORT_FLOWS)
    port = np.where(np.isin(arrays.destination_port, frequent), arrays.destination_port, OTHER_PORT)
    pairs, place = np.unique(np.stack([arrays.protocol, port], axis=1), axis=0, return_inverse=True)
    counts = np.zeros((num_classes, len(pairs)), dtype=np.int64)
    np.add.at(counts, (classes, place.ravel()), 1)
    return pairs.tolist(), counts.tolist()


def header_places(headers: list[list[int]], arrays: FlowArrays) -> np.ndarray:
    """(N,) place of each flow's header among `headers`, -1 where there is none."""
    places = np.full(len(arrays), -1, dtype=np.int64)
    if headers:
        known = {tuple(pair): place for place, pair in enumerate(headers)}
        for i, pair in enumerate(zip(arrays.protocol.tolist(), arrays.destination_port.tolist(), strict=True)):
            places[i] = known.get(pair, known.get((pair[0], OTHER_PORT), -1))
    return places


def draw_headers(counts: list[list[int]], classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N,) place of a header for each of `classes`, by its row of `counts`; -1 where nothing is counted."""
    drawn = np.full(len(classes), -1, dtype=np.int64)
    if counts:
        chance = rng.random(len(classes))
        for k in np.unique(classes):
            shares = np.cumsum(counts[k]) / np.sum(counts[k])
            drawn[classes == k] = np.searchsorted(shares, chance[classes == k], side="right")
    return drawn


def draw_ports(headers: list[list[int]], places: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Protocol and ports (N,) of flows whose headers stand at `places`; nothing without headers.

    Ports that have no header of their own, and the client's, are drawn at random.
    """
    if not headers:
        return {}
    protocol, port = np.array(headers, dtype=np.int64)[places].T
    drawn = rng.integers(OTHER_PORTS[0], OTHER_PORTS[1] + 1, len(places))
    return {
        "protocol": protocol,
        "destination_port": np.where(port == OTHER_PORT, drawn, port),
        "source_port": rng.integers(EPHEMERAL_PORTS[0], EPHEMERAL_PORTS[1] + 1, len(places)),
    }


def most_frequent(values: np.ndarray, most: int, at_least: int) -> list[int]:
    """The `most` most frequent values that occur `at_least` times, most frequent first."""
    found, counts = np.unique(values, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:most]
    return found[order[counts[order] >= at_least]].tolist()
