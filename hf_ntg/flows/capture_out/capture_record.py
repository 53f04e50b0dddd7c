"""What is known of a capture that was written: counts of what was done, and the table that says what each flow is."""

from __future__ import annotations

import csv
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO

import numpy as np

from hf_ntg.files import replacing
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.capture_out.conversation import NANOSECONDS, Conversations
from hf_ntg.flows.capture_out.tcp_roles import Closing, Opening
from hf_ntg.flows.schema import TCP

__all__ = ["COMMENT_PREFIX", "TRUTH_COLUMNS", "CaptureReport", "CaptureTruth"]

TRUTH_COLUMNS = (
    "capture", "flow_id", "label", "protocol", "source", "source_port", "destination",
    "destination_port", "start_time", "packets", "added_before", "added_after",
)  # fmt: skip

COMMENT_PREFIX = b"hf_ntg flow: "
"""What the comment on the first packet of a flow begins with in pcapng files; JSON with its label follows."""


@dataclass
class CaptureReport:
    """What was written, counted.

    Attributes:
        flows, packets: all of them. tcp_flows: how many of the flows are TCP.
        handshakes_own, handshakes_added: TCP flows that brought a handshake, that were given one.
        unanswered, refused: TCP flows of SYNs only, of SYN and RST.
        fin_own, reset_own, closings_added: TCP flows closed by their own FINs, by their own RST, by added FINs.
        packets_added: packets that no flow asked for. payloads_segmented: payloads cut up for their length.
    """

    flows: int = 0
    tcp_flows: int = 0
    packets: int = 0
    handshakes_own: int = 0
    handshakes_added: int = 0
    unanswered: int = 0
    refused: int = 0
    fin_own: int = 0
    reset_own: int = 0
    closings_added: int = 0
    packets_added: int = 0
    payloads_segmented: int = 0

    def add(self, conversations: Conversations, protocol: np.ndarray) -> None:
        """Count a batch of conversations."""
        opening, closing = conversations.roles.opening, conversations.roles.closing
        before, after = conversations.added_before, conversations.added_after
        found = CaptureReport(
            flows=len(opening),
            tcp_flows=(protocol == TCP).sum(),
            packets=len(conversations.packets),
            handshakes_own=(opening == Opening.HANDSHAKE).sum(),
            handshakes_added=(before > 0).sum(),
            unanswered=(opening == Opening.UNANSWERED).sum(),
            refused=(opening == Opening.REFUSED).sum(),
            fin_own=(closing == Closing.FIN).sum(),
            reset_own=(closing == Closing.RESET).sum(),
            closings_added=(after > 0).sum(),
            packets_added=before.sum() + after.sum(),
            payloads_segmented=conversations.segmented,
        )
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + int(getattr(found, field.name)))

    def __str__(self) -> str:
        return (
            f"{self.flows} flows ({self.tcp_flows} TCP), {self.packets} packets; handshakes: "
            f"{self.handshakes_own} own, {self.handshakes_added} added, {self.unanswered} unanswered, "
            f"{self.refused} refused; closings: {self.fin_own} own FIN, {self.reset_own} own RST, "
            f"{self.closings_added} added; {self.packets_added} packets added, "
            f"{self.payloads_segmented} payloads segmented"
        )


class CaptureTruth:
    """The table beside a capture: one line a flow, :data:`TRUTH_COLUMNS`; source is the initiator."""

    def __init__(self, lines: IO[str]) -> None:
        self._lines = csv.writer(lines)
        self._lines.writerow(TRUTH_COLUMNS)

    @classmethod
    @contextmanager
    def at(cls, path: Path) -> Iterator[CaptureTruth]:
        """Open the table `path`; it appears whole or not at all."""
        with (
            replacing(path) as scratch,
            scratch.open("w", newline="", encoding="utf-8") as f,
        ):
            yield cls(f)

    def write(self, flows: FlowArrays, conversations: Conversations, captures: Sequence[str]) -> None:
        """Add the lines of `flows`; `captures` names each one's file."""
        first = conversations.packets[conversations.offsets[:-1]]
        numbers = first["flow"].tolist()
        ids = numbers if flows.flow_id is None else flows.flow_id
        up = first["upstream"]
        width = 16 if first["source"][:, 4:].any() else 4
        client, server = (
            np.where(up[:, None] == upstream, first["source"], first["destination"])[:, :width]
            for upstream in (True, False)
        )
        ports = [
            np.where(up == upstream, first["source_port"], first["destination_port"]) for upstream in (True, False)
        ]
        times = [f"{time // NANOSECONDS}.{time % NANOSECONDS:09d}" for time in first["time"].tolist()]
        self._lines.writerows(
            zip(
                captures, ids, flows.label, first["protocol"], _texts(client), ports[0], _texts(server), ports[1],
                times, np.diff(conversations.offsets), conversations.added_before, conversations.added_after,
                strict=True,
            )
        )  # fmt: skip


def _texts(addresses: np.ndarray) -> list[str]:
    family = socket.AF_INET if addresses.shape[1] == 4 else socket.AF_INET6
    return [socket.inet_ntop(family, address) for address in addresses]
