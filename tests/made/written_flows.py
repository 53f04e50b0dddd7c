"""Flows for the tests of the capture writers."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from datasets import Dataset
from hypothesis import strategies as st

from hf_ntg.flows import FlowArrays, conform_flows
from hf_ntg.flows.capture_in.packets import ACK, FIN, RST, SYN
from hf_ntg.flows.schema import TCP, UDP

IPV6 = {"clients": "2001:db8:1::/48", "servers": "2001:db8:2::/48"}


def flow(text: str, protocol: int = TCP, label: str | None = "web", **others) -> dict:
    """A row from signed lengths, such as ``"+0 -0 +0 +517"``."""
    packets = text.split()
    return {
        "label": label,
        "protocol": protocol,
        "payload_length": [int(packet[1:]) for packet in packets],
        "direction": [1 if packet[0] == "+" else -1 for packet in packets],
        **others,
    }


def table(*rows: dict) -> Dataset:
    return conform_flows(Dataset.from_list(list(rows)), "test")


@st.composite
def legal_flows(draw, max_length: int = 1_440, max_flows: int = 6) -> Dataset:
    """Random flows that begin upstream: lengths, windows and times of all sizes, TCP and UDP."""
    rows = []
    for number in range(draw(st.integers(1, max_flows))):
        protocol = draw(st.sampled_from([TCP, TCP, UDP]))
        size = draw(st.integers(1, 12))
        length = st.one_of(st.just(0), st.integers(0, 7), st.integers(0, max_length))
        window = st.just(0) if protocol == UDP else st.integers(0, 65_535)
        gap = st.one_of(st.just(0.0), st.floats(0, 1e-4), st.floats(0, 100))
        rows.append(
            {
                "flow_id": f"flow {number}",
                "label": draw(st.sampled_from([None, "dns", "tls-web", 'a, "b"', "日本"])),
                "protocol": protocol,
                "payload_length": draw(st.lists(length, min_size=size, max_size=size)),
                "direction": [1, *draw(st.lists(st.sampled_from([1, -1]), min_size=size - 1, max_size=size - 1))],
                "inter_arrival_time": [0.0, *draw(st.lists(gap, min_size=size - 1, max_size=size - 1))],
                "tcp_window": draw(st.lists(window, min_size=size, max_size=size)),
                "packet_count": size + draw(st.sampled_from([0, 0, 5])),
            }
        )
    return table(*rows)


def truth(path: Path) -> list[dict]:
    """The lines of the table beside a capture."""
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def without_added(read: FlowArrays, lines: list[dict]) -> FlowArrays:
    """The flows of a capture without the packets that the writer added at their ends."""
    before, after = (np.array([int(line[name]) for line in lines]) for name in ("added_before", "added_after"))
    place, row = read.position, read.flow_index
    kept = (place >= before[row]) & (place < (read.num_packets - after)[row])
    offsets = np.concatenate([[0], np.cumsum(read.num_packets - before - after)])
    return read._with(offsets, kept, slice(None))


def check_connection(packets: np.ndarray) -> None:
    """A connection as RFC 9293 has it, followed packet by packet."""
    following: dict[bool, int] = {}  # by side: the sequence number that its next packet bears
    ended = set()
    for packet in packets:
        up, flags, sequence = bool(packet["upstream"]), int(packet["flags"]), int(packet["sequence"])
        assert not (up in ended and packet["length"]), "data behind a FIN"
        again = flags & SYN and up in following
        if up in following:
            assert sequence == (following[up] - bool(again)) % 2**32
        elif not flags & RST and len(following) == 0 and not flags & ACK:
            assert flags == SYN
        if flags & ACK and (not up) in following:
            assert int(packet["acknowledgement"]) == following[not up]
        if not again:
            following[up] = (sequence + int(packet["length"]) + bool(flags & SYN) + bool(flags & FIN)) % 2**32
        ended |= {up} if flags & FIN else set()
