"""Which flow an IP fragment belongs to: only the first fragment of a packet has the ports."""

from __future__ import annotations

from collections import OrderedDict

__all__ = ["FragmentTable"]

_LIFETIME = 30_000_000_000  # nanoseconds; what RFC 791 and Linux give a packet to arrive whole
_MOST_KNOWN = 4096


class FragmentTable:
    """The ports of fragmented packets under way, by addresses, protocol and identification.

    Every fragment counts as a packet of the flow of its first fragment, with the transport bytes it carries itself:
    that is what a classifier on the path sees. Fragments seen before their first one, or 30 s after it, are not placed.
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
        """The ports of `packet`, or None where its first fragment is not known."""
        found = self._known.get(packet)
        if found is None or abs(time - found[2]) > _LIFETIME:
            return None
        return found[:2]
