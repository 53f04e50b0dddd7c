"""Finds packets that a capture holds twice: seen by two taps, in both directions of a mirror port, or by ``-i any``."""

from __future__ import annotations

from collections import Counter

import numpy as np

from hf_ntg.flows.capture_in.packet_block import numbers_at
from hf_ntg.flows.capture_in.packets import FIN, RST, SYN, Packets, joined_packets
from hf_ntg.flows.schema import TCP

__all__ = ["DuplicateFilter"]

_PROBED = 8  # packets before each one that the probe looks at
_MOST_COPIES = 3  # copies of one packet
_LEAST_SHARE = 4  # acknowledgements count as copies if other packets are copied at least this many times less often
_TAIL = 512  # packets of the block before that are compared too
_NUMBERED, _UNNUMBERED, _EMPTY = 1_000_000_000, 10_000_000, 1_000_000  # longest time to a copy, ns
_TCP_CHECKSUM, _UDP_CHECKSUM = 16, 6  # byte of the header where the checksum begins
_FACTORS = np.random.default_rng(0x4E54).integers(2**62, 2**63, 10, dtype=np.uint64) | np.uint64(1)
_SEEN = "packets captured twice (byte for byte the same, IP identification included): --drop-duplicates leaves them out"
_DROPPED = "packets captured twice"


class DuplicateFilter:
    """Counts, and on request drops, the packets of a capture that repeat a recent packet.

    A copy has the same addresses, ports, IP identification, transport header and payload as the original. The link
    layer, hop count and checksums may differ, as they do behind a router. A copy comes within a second. Some packets
    have no unique identification (IPv6, stacks that send 0, programs that give many packets the same one). Such packets
    can legitimately be sent twice, so their copies must come within 10 ms, or within 1 ms if they have no payload.
    Equal acknowledgements without payload count only where other such packets have copies too: a capture point that
    sees packets twice does not choose among them, whereas a receiver may well repeat an acknowledgement.

    Most captures hold no copies. The search starts at the first block in which a packet repeats one of the 8 before it.
    With `drop`, it starts at once.

    Args:
        drop: leave copies out. noticed: copies that are kept are counted here. skipped: copies that are left out.
    """

    def __init__(self, drop: bool, noticed: Counter[str], skipped: Counter[str]) -> None:
        self.drop, self.noticed, self.skipped = drop, noticed, skipped
        self._tail: Packets | None = None
        self._searches = drop

    def filter(self, packets: Packets) -> Packets:
        """Count the copies in `packets`, which are in order of time; return them, without copies if `drop` is set."""
        if not len(packets):
            return packets
        prints = _fingerprints(packets)
        self._searches |= self._probe(packets, prints)
        if not self._searches:
            self._tail = packets
            return packets
        whole, begin = packets, 0
        if self._tail is not None:
            last = self._tail.take(np.arange(max(len(self._tail) - _TAIL, 0), len(self._tail))).compact()
            whole, begin = joined_packets([last, packets]), len(last)
            prints = np.concatenate([_fingerprints(last), prints])
        self._tail = whole
        copies = _copies(whole, prints)[begin:]
        if not copies.any():
            return packets
        (self.skipped if self.drop else self.noticed)[_DROPPED if self.drop else _SEEN] += int(copies.sum())
        return packets.take(~copies) if self.drop else packets

    @staticmethod
    def _probe(packets: Packets, prints: np.ndarray) -> bool:
        """Return whether any packet repeats one of the 8 before it."""
        for distance in range(1, min(_PROBED, len(packets) - 1) + 1):
            later = np.flatnonzero(prints[distance:] == prints[:-distance])[:100] + distance
            if len(later):
                common = _common_numbers(packets)
                if any(_is_copy(packets, row, row - distance, common) for row in later.tolist()):
                    return True
        return False


def _fingerprints(packets: Packets) -> np.ndarray:
    """(n,) uint64: equal for packets that may be copies of each other."""
    columns = [
        packets.sequence | packets.acknowledgement << 32,
        packets.length.astype(np.int64) | packets.window.astype(np.int64) << 16 | packets.offset << 32,
        packets.identification | packets.flags.astype(np.int64) << 32 | packets.side.astype(np.int64) << 40,
    ]
    found = packets.key[:, 1] * _FACTORS[0] + packets.key[:, 3] * _FACTORS[1] + packets.key[:, 4] * _FACTORS[2]
    for column, factor in zip(columns, _FACTORS[3:], strict=False):
        found += column.view(np.uint64) * factor
    unnumbered = np.flatnonzero((packets.identification == 0) & (packets.kept >= 8))
    if len(unnumbered):  # only the payload can distinguish these
        words = numbers_at(packets.data, packets.payload[unnumbered] + packets.kept[unnumbered] - 8, ">u8")
        found[unnumbered] += words.view(np.uint64) * _FACTORS[6]
    return found


def _copies(packets: Packets, prints: np.ndarray) -> np.ndarray:
    """Return the mask (n,) of the packets that are copies of an earlier one."""
    order = np.argsort(prints, kind="stable")
    same = np.flatnonzero(prints[order[1:]] == prints[order[:-1]])
    copies = np.zeros(len(packets), bool)
    common = _common_numbers(packets)
    for earlier, later in zip(order[same].tolist(), order[same + 1].tolist(), strict=True):
        copies[later] = _is_copy(packets, later, earlier, common)
    unnumbered = np.isin(packets.identification, list(common))
    carries = _carries(packets)
    bare, others = unnumbered & ~carries, unnumbered & carries
    if copies[bare].sum() * others.sum() > _LEAST_SHARE * copies[others].sum() * bare.sum():
        copies &= ~bare
    return copies


def _carries(packets: Packets) -> np.ndarray:
    """Return the mask (n,) of the packets with payload, SYN, FIN or RST."""
    return (packets.length > 0) | (packets.flags & (SYN | FIN | RST) > 0)


def _common_numbers(packets: Packets) -> set[int]:
    """Return the identifications that too many packets share to identify one, and 0."""
    numbers, counts = np.unique(packets.identification, return_counts=True)
    return {0, *numbers[counts > max(_MOST_COPIES, len(packets) // 16)].tolist()}


def _is_copy(packets: Packets, later: int, earlier: int, common: set[int]) -> bool:
    """Return whether the packet at `later` is a copy of the one at `earlier`; ignore identifications in `common`."""
    limit = _NUMBERED
    if int(packets.identification[later]) in common:
        limit = _UNNUMBERED if packets.length[later] > 0 or packets.flags[later] & (SYN | FIN | RST) else _EMPTY
    if packets.time[later] - packets.time[earlier] >= limit:
        return False
    if (packets.key[later] != packets.key[earlier]).any() or packets.offset[later] != packets.offset[earlier]:
        return False
    return _transport_bytes(packets, later) == _transport_bytes(packets, earlier)


def _transport_bytes(packets: Packets, row: int) -> bytes:
    """Header and payload of the packet at `row`, without the checksum."""
    header, payload = int(packets.header[row]), int(packets.payload[row])
    found = packets.data[payload - header : payload + int(packets.kept[row])].tobytes()
    if not header:
        return found
    protocol = int(packets.key[row, 4] >> np.uint64(8)) & 0xFF
    place = _TCP_CHECKSUM if protocol == TCP else _UDP_CHECKSUM
    return found[:place] + found[place + 2 :]
