"""Records the contents of a written capture: counts of flows and packets, and the table of its flows."""

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
from hf_ntg.flows.capture_out.lookups import LOOKUP_LABEL
from hf_ntg.flows.capture_out.tcp_roles import Closing, Opening
from hf_ntg.flows.schema import TCP
from hf_ntg.flows.spreadsheet import guarded

__all__ = ["COMMENT_PREFIX", "TRUTH_COLUMNS", "CaptureReport", "CaptureTruth"]

TRUTH_COLUMNS = (
    "capture", "flow_id", "label", "protocol", "source", "source_port", "destination",
    "destination_port", "start_time", "packets", "added_before", "added_between", "added_after",
)  # fmt: skip

COMMENT_PREFIX = b"hf_ntg flow: "
"""Prefix of the comment on a flow's first packet in pcapng files. JSON with the label follows it."""


@dataclass
class CaptureReport:
    """Counts of what was written.

    Attributes:
        flows, packets: numbers of all flows, and of all packets in the file. tcp_flows: number of TCP flows.
        handshakes_own, handshakes_added: TCP flows with their own handshake, and with an added one.
        unanswered, refused: TCP flows with SYNs only, and with SYN and RST only.
        fin_own, reset_own, closings_added: TCP flows closed by their own FINs, by their own RST, and by added packets.
        packets_added: added packets. acknowledgements_added: added packets between a flow's own packets.
        payloads_segmented: payloads cut into several packets. datagrams_fragmented: datagrams above the MTU, written as
            IP fragments.
        lookups: DNS look-ups before flows, two packets each; they are not among the flows.
        shared_servers: services that share a server address because the network is too small.
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
    acknowledgements_added: int = 0
    payloads_segmented: int = 0
    datagrams_fragmented: int = 0
    lookups: int = 0
    shared_servers: int = 0

    def add(self, conversations: Conversations, protocol: np.ndarray, fragments: np.ndarray) -> None:
        """Count a batch of conversations; `fragments` is the number of IP packets for each of their packets."""
        opening, closing = conversations.roles.opening, conversations.roles.closing
        before, between, after = (
            conversations.added_before, conversations.added_between, conversations.added_after,
        )  # fmt: skip
        found = CaptureReport(
            flows=len(opening),
            tcp_flows=(protocol == TCP).sum(),
            packets=fragments.sum(),
            handshakes_own=(opening == Opening.HANDSHAKE).sum(),
            handshakes_added=(before > 0).sum(),
            unanswered=(opening == Opening.UNANSWERED).sum(),
            refused=(opening == Opening.REFUSED).sum(),
            fin_own=(closing == Closing.FIN).sum(),
            reset_own=(closing == Closing.RESET).sum(),
            closings_added=(after > 0).sum(),
            packets_added=before.sum() + between.sum() + after.sum(),
            acknowledgements_added=between.sum(),
            payloads_segmented=conversations.segmented,
            datagrams_fragmented=(fragments > 1).sum(),
        )
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + int(getattr(found, field.name)))

    def __str__(self) -> str:
        remarks = {
            f"; {self.lookups} DNS look-ups before them (class '{LOOKUP_LABEL}')": self.lookups,
            f", {self.acknowledgements_added} of them acknowledgements": self.acknowledgements_added,
            f", {self.datagrams_fragmented} datagrams above the MTU fragmented": self.datagrams_fragmented,
            f"; {self.shared_servers} classes share a server address: give a wider network of servers": (
                self.shared_servers
            ),
        }
        looked_up, acknowledged, fragmented, shared = (text if count else "" for text, count in remarks.items())
        return (
            f"{self.flows} flows ({self.tcp_flows} TCP), {self.packets} packets; handshakes: "
            f"{self.handshakes_own} own, {self.handshakes_added} added, {self.unanswered} unanswered, "
            f"{self.refused} refused; closings: {self.fin_own} own FIN, {self.reset_own} own RST, "
            f"{self.closings_added} added; {self.packets_added} packets added{acknowledged}, "
            f"{self.payloads_segmented} payloads segmented{fragmented}{looked_up}{shared}"
        )


class CaptureTruth:
    """Writes the table next to a capture: one line per flow, :data:`TRUTH_COLUMNS`. The source is the initiator.

    Names that a spreadsheet would take for formulas begin with an apostrophe, see :mod:`hf_ntg.flows.spreadsheet`.
    """

    def __init__(self, lines: IO[str]) -> None:
        self._lines = csv.writer(lines)
        self._lines.writerow(TRUTH_COLUMNS)

    @classmethod
    @contextmanager
    def at(cls, path: Path) -> Iterator[CaptureTruth]:
        """Open the table `path`. The file appears only when it is complete."""
        with (
            replacing(path) as scratch,
            scratch.open("w", newline="", encoding="utf-8") as f,
        ):
            yield cls(f)

    def write(self, flows: FlowArrays, conversations: Conversations, captures: Sequence[str]) -> None:
        """Add the lines of `flows`; `captures` names the file of each flow."""
        first = conversations.packets[conversations.offsets[:-1]]
        up = first["upstream"]
        assert flows.flow_id is not None  # the schedule gives every flow an id
        width = 16 if first["source"][:, 4:].any() else 4
        client, server = (
            np.where(up[:, None] == upstream, first["source"], first["destination"])[:, :width]
            for upstream in (True, False)
        )
        ports = [
            np.where(up == upstream, first["source_port"], first["destination_port"]) for upstream in (True, False)
        ]
        times = [f"{time // NANOSECONDS}.{time % NANOSECONDS:09d}" for time in first["time"].tolist()]
        names = [list(map(guarded, column)) for column in (captures, flows.flow_id, flows.label)]
        self._lines.writerows(
            zip(
                *names, first["protocol"], _texts(client), ports[0], _texts(server), ports[1], times,
                conversations.sizes, conversations.added_before, conversations.added_between,
                conversations.added_after,
                strict=True,
            )
        )  # fmt: skip


def _texts(addresses: np.ndarray) -> list[str]:
    family = socket.AF_INET if addresses.shape[1] == 4 else socket.AF_INET6
    return [socket.inet_ntop(family, address) for address in addresses]
