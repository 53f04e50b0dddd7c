"""Finds the flow that an IP fragment belongs to: only the first fragment of a packet has the ports."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

from hf_ntg.flows.capture_in.link_layer import Layers
from hf_ntg.flows.capture_in.network_layer import Datagrams
from hf_ntg.flows.capture_in.packet_block import PacketBlock, padded

__all__ = ["FragmentTable", "PendingFragments"]

_LIFETIME = 30_000_000_000  # nanoseconds: how long RFC 791 and Linux wait for the rest of a packet
_MOST_KNOWN = 4096


class FragmentTable:
    """Remembers the ports of packets whose first fragment was seen, by addresses, protocol and identification.

    Every fragment counts as a packet of the flow of its first fragment. Its length is the number of transport bytes
    that it carries itself, as a classifier on the path sees it. A fragment more than 30 s away from its first fragment
    is not assigned to a flow.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[tuple, tuple[int, int, int]] = OrderedDict()

    def remember(self, packet: tuple, ports: tuple[int, int], time: int) -> None:
        """Note the `ports` that the first fragment of `packet` showed at `time` (ns)."""
        self._known[packet] = (*ports, time)
        self._known.move_to_end(packet)
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)

    def ports(self, packet: tuple, time: int) -> tuple[int, int] | None:
        """The ports of `packet`, or None if its first fragment is not known."""
        found = self._known.get(packet)
        if found is None or abs(time - found[2]) > _LIFETIME:
            return None
        return found[:2]


class PendingFragments:
    """Holds later fragments until their first fragment arrives; each is copied out of its block."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[tuple, list[tuple[PacketBlock, Datagrams]]] = OrderedDict()

    def add(self, packet: tuple, block: PacketBlock, piece: Datagrams) -> int:
        """Keep the fragment `piece`, one row of `block`; return how many older ones were discarded to make room."""
        layers, row = piece.layers, int(piece.layers.rows[0])
        begin, kept = int(layers.at[0]), max(int(layers.kept[0] - layers.at[0]), 0)
        own = PacketBlock(
            data=padded(block.data[begin : begin + kept].tobytes()),
            start=np.zeros(1, np.int64),
            captured=np.array([kept]),
            wire=layers.end - layers.at,
            time=block.time[row : row + 1],
            link=block.link[row : row + 1],
            first=block.first + row,
        )
        zero = np.zeros(1, np.int64)
        piece.layers = Layers(zero, zero, layers.kind, np.array([kept]), layers.end - layers.at)
        self._waiting.setdefault(packet, []).append((own, piece))
        if len(self._waiting) > _MOST_KNOWN:
            return len(self._waiting.popitem(last=False)[1])
        return 0

    def take(self, packet: tuple, time: int) -> list[tuple[PacketBlock, Datagrams]]:
        """Remove and return the waiting fragments of `packet`, whose first fragment came at `time` (ns)."""
        waiting = self._waiting.get(packet, [])
        found = [one for one in waiting if abs(time - int(one[0].time[0])) <= _LIFETIME]
        if len(found) == len(waiting):
            self._waiting.pop(packet, None)
        else:
            self._waiting[packet] = [one for one in waiting if abs(time - int(one[0].time[0])) > _LIFETIME]
        return found

    def drop_all(self) -> int:
        """Discard all waiting fragments; return how many there were."""
        count = sum(map(len, self._waiting.values()))
        self._waiting.clear()
        return count
