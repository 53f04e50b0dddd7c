"""Assembles packets into biflows: which packet belongs to which flow, where a flow begins and ends, who began it.

The rules, in order:

1. A flow is the packets between two endpoints (address, port) of one transport protocol, both ways. VLAN tags do not
   separate flows.
2. A packet that comes more than the idle time-out after the flow's last one begins a new flow. Time is the latest time
   stamp seen so far: the packets of a capture come sorted, as far as :mod:`~hf_ntg.flows.capture_in.time_order` can
   sort them. A step backwards by more than the time-out resets the clock.
3. A TCP segment with SYN and without ACK belongs to the open flow if its sequence number equals the first one of this
   side: it is a retransmission, or was captured late, even after a FIN or RST. With another number it begins a new
   flow (port reuse, or a connection whose end was not captured). It also begins a new flow if this side's first number
   is not known and the flow has seen a FIN or RST.
4. A SYN-ACK begins a new flow if it fits neither side's first sequence number: captures of one side see no SYN.
5. Every other packet stays in the open flow: data and ACKs after a FIN or RST belong to the connection that it closes.
6. The initiator (direction +1) sent the SYN; if no SYN was seen, it received the SYN-ACK; else it sent the first
   packet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from hf_ntg.flows.arrays import ragged_positions
from hf_ntg.flows.capture_in.biflow import Biflow, BiflowBatch, PacketStore
from hf_ntg.flows.capture_in.offload import (
    ETHERNET_DATAGRAM,
    ETHERNET_SEGMENT,
    announced_segment,
    datagram_sizes,
    long_datagrams,
    longest_datagrams,
    segment_sizes,
    split_segments,
)
from hf_ntg.flows.capture_in.packets import ACK, FIN, RST, SYN, Packets
from hf_ntg.flows.capture_in.pieces import CaptureEdges
from hf_ntg.flows.schema import MAX_PAYLOAD, TCP

__all__ = ["DEFAULT_IDLE_TIMEOUT", "BiflowAssembler"]

DEFAULT_IDLE_TIMEOUT = 120.0
_END_OF_TIME = 1 << 62
_BATCH_FLOWS = 20_000  # how many are collected before finished flows are returned
_LONG_TCP = "TCP packets longer than 1460 bytes (offloaded), kept whole: --split-offload cuts them into segments"
_LONG_UDP = "UDP packets longer than a frame (offloaded), kept whole: --split-offload cuts them into datagrams"


Inspect = Callable[[Packets, np.ndarray, list[tuple[Biflow, int]]], None]


class BiflowAssembler:
    """Assembles packets into flows by the rules above.

    It keeps the open flows, and collects finished flows until there are enough to return.

    Args:
        idle_timeout: seconds. max_packets: packets of a flow to keep; all are counted.
        split_offload: cut packets longer than a frame into segments (see `offload`).
        inspect: called for every block with its packets, their rows sorted by flow, and the flows with the place
            where the packets of each begin.

    Attributes:
        noticed: remarks, counted in packets. edges: the flows at both ends of the capture.
    """

    def __init__(
        self,
        idle_timeout: float,
        max_packets: int | None = None,
        split_offload: bool = False,
        inspect: Inspect | None = None,
    ) -> None:
        self.idle_timeout = int(min(idle_timeout * 1e9, _END_OF_TIME))
        self.max_packets = max_packets
        self.split_offload = split_offload
        self.inspect = inspect
        self.noticed: Counter[str] = Counter()
        self._clock = _Clock(self.idle_timeout)
        self._open: dict[bytes, Biflow] = {}
        self._finished: list[Biflow] = []
        self._packets = PacketStore()
        self._next_sweep = 0
        self.edges = CaptureEdges(idle_timeout=self.idle_timeout)

    def add(self, packets: Packets) -> None:
        """Assign the next packets of the capture to flows."""
        if not len(packets):
            return
        clock = self._clock.read(packets.time)
        if self.edges.first < 0:
            self.edges.first = int(packets.time[0])
        self.edges.last = int(clock[-1])
        codes, keys = _interned(packets.key)
        order = np.argsort(codes, kind="stable")
        runs = self._cut(packets, order, codes[order], clock[order], keys)
        self._keep(packets, order, runs)
        if self.inspect is not None:
            self.inspect(packets, order, runs)
        self._sweep(int(clock[-1]))

    def take(self, everything: bool = False) -> BiflowBatch | None:
        """Return the finished flows once there are many, or all flows with `everything`; None if there is nothing."""
        if everything:
            self.edges.open = {key: (flow.last, flow.first_sequence) for key, flow in self._open.items()}
            self._finished.extend(self._open.values())
            self._open.clear()
        enough = len(self._finished) >= _BATCH_FLOWS or self._packets.is_full
        if not self._finished or not (everything or enough):
            return None
        flows, self._finished = sorted(self._finished, key=lambda flow: flow.number), []
        return self._packets.take(flows)

    def _cut(
        self, packets: Packets, order: np.ndarray, codes: np.ndarray, clock: np.ndarray, keys: list[bytes]
    ) -> list[tuple[Biflow, int]]:
        """Assign packets sorted by key to flows: return the flows, and where the packets of each begin."""
        begins = np.flatnonzero(np.diff(codes, prepend=-1))
        late = np.diff(clock, prepend=clock[0]) > self.idle_timeout
        late[begins] = False
        events = np.flatnonzero(late | (packets.flags[order] & (SYN | FIN | RST) > 0))
        bounds = np.searchsorted(events, [*begins, len(order)]).tolist()
        ends = [*begins[1:].tolist(), len(order)]
        first_seen, last_seen = clock[begins].tolist(), clock[np.array(ends) - 1].tolist()
        places, rows = events.tolist(), order.tolist()
        runs: list[tuple[Biflow, int]] = []
        for group, (begin, key) in enumerate(zip(begins.tolist(), keys, strict=True)):
            flow = self._open.get(key)
            is_new = flow is None or first_seen[group] - flow.last > self.idle_timeout
            if flow is None or is_new:
                flow = self._begin(packets, rows[begin], key)
            runs.append((flow, begin))
            for place in places[bounds[group] : bounds[group + 1]]:
                if is_new and place == begin:
                    continue  # the flow began with it
                following = self._after_event(packets, rows[place], flow, bool(late[place]))
                if following is not flow:
                    flow = following
                    runs.append((flow, place))
            flow.last = last_seen[group]
        return runs

    def _begin(self, packets: Packets, row: int, key: bytes) -> Biflow:
        """Begin a new flow with the packet at `row`; the flow before it between the same endpoints is finished."""
        before = self._open.get(key)
        if before is not None:
            self._finished.append(before)
        flow = Biflow(key, int(packets.number[row]), int(packets.side[row]))
        if flow.protocol == TCP:
            sequence, acknowledgement = int(packets.sequence[row]), int(packets.acknowledgement[row])
            flow.begin_tcp(int(packets.side[row]), int(packets.flags[row]), sequence, acknowledgement)
            self._learn_segment(packets, row, flow)
        if key not in self._open:
            time = int(packets.time[row])
            if time - self.edges.first <= self.idle_timeout:
                is_syn = packets.flags[row] & (SYN | ACK) == SYN
                self.edges.cut.setdefault(key, (time, int(packets.sequence[row]) if is_syn else None))
        self._open[key] = flow
        return flow

    def _after_event(self, packets: Packets, row: int, flow: Biflow, late: bool) -> Biflow:
        """Return the flow of the packet at `row`, which is late or has SYN, FIN or RST: `flow`, or a new one."""
        flags, side = int(packets.flags[row]), int(packets.side[row])
        if late:
            return self._begin(packets, row, flow.key)
        if flags & SYN and not flags & RST:
            sequence = int(packets.sequence[row])
            if not flow.admits_syn(side, flags, sequence, int(packets.acknowledgement[row])):
                return self._begin(packets, row, flow.key)
            flow.learn_syn(side, flags, sequence)
            self._learn_segment(packets, row, flow)
        if flags & (FIN | RST):
            flow.closed = True
        return flow

    def _learn_segment(self, packets: Packets, row: int, flow: Biflow) -> None:
        if self.split_offload and packets.flags[row] & SYN:
            announced = announced_segment(packets, row)
            flow.segment = min(flow.segment or announced, announced) if announced else flow.segment

    def _keep(self, packets: Packets, order: np.ndarray, runs: list[tuple[Biflow, int]]) -> None:
        """Count the packets of every run and store those that are within the flow's `max_packets`."""
        flows = [flow for flow, _ in runs]
        lengths = np.diff([*(begin for _, begin in runs), len(order)])
        rows, payload = order, packets.length[order]
        is_tcp = np.repeat([flow.protocol == TCP for flow in flows], lengths)
        is_long_datagram = ~is_tcp & (payload > ETHERNET_DATAGRAM[6])
        if is_long_datagram.any():
            is_long_datagram = long_datagrams(packets, rows) & ~is_tcp
        if self.split_offload:
            if is_long_datagram.any():
                for flow, longest in zip(flows, longest_datagrams(packets, rows, lengths).tolist(), strict=True):
                    if flow.protocol != TCP:
                        flow.segment = max(flow.segment or 0, longest)
            announced = np.repeat([flow.segment or 0 for flow in flows], lengths)
            size = np.where(is_tcp, segment_sizes(packets, rows, announced), MAX_PAYLOAD)
            size[is_long_datagram] = datagram_sizes(packets, rows[is_long_datagram], announced[is_long_datagram])
            pieces, rows, payload = split_segments(rows, payload, size)
            lengths = np.diff(np.concatenate([[0], np.cumsum(pieces)])[np.concatenate([[0], np.cumsum(lengths)])])
            self._notice("offloaded TCP packets split into segments", is_tcp & (pieces > 1))
            self._notice("offloaded UDP packets split into datagrams", ~is_tcp & (pieces > 1))
        else:
            self._notice(_LONG_TCP, is_tcp & (payload > ETHERNET_SEGMENT[4]))
            self._notice(_LONG_UDP, is_long_datagram)
        counted = np.array([flow.count for flow in flows])
        within: slice | np.ndarray = slice(None)
        if self.max_packets is not None and (counted + lengths).max() > self.max_packets:
            within = np.repeat(counted, lengths) + ragged_positions(lengths) < self.max_packets
        number = np.repeat([flow.number for flow in flows], lengths)
        rows = rows[within]
        self._packets.add(number[within], packets.time[rows], packets.side[rows], payload[within], packets.window[rows])
        for flow, count in zip(flows, (counted + lengths).tolist(), strict=True):
            flow.count = count

    def _notice(self, what: str, where: np.ndarray) -> None:
        if where.any():
            self.noticed[what] += int(where.sum())

    def _sweep(self, now: int) -> None:
        """From time to time, finish the flows that have been idle for too long."""
        if now < self._next_sweep:
            return
        self._next_sweep = now + self.idle_timeout // 2
        idle = [key for key, flow in self._open.items() if now - flow.last > self.idle_timeout]
        self._finished.extend(self._open.pop(key) for key in idle)


class _Clock:
    """A clock that never goes back (rule 2)."""

    def __init__(self, tolerance: int) -> None:
        self.tolerance = tolerance
        self.latest: int | None = None
        self.shift = 0

    def read(self, times: np.ndarray) -> np.ndarray:
        """Return what the clock shows at each of `times`: (n,) int64 ns, ascending."""
        latest = int(times[0]) if self.latest is None else self.latest
        shifted = times + self.shift
        clock = np.maximum(np.maximum.accumulate(shifted), latest)
        if (clock - shifted > self.tolerance).any():
            clock = np.array([latest := self._next(time, latest) for time in times.tolist()])
        self.latest = int(clock[-1])
        return clock

    def _next(self, time: int, latest: int) -> int:
        if time + self.shift < latest - self.tolerance:
            self.shift = latest - time
        return min(max(latest, time + self.shift), _END_OF_TIME)


def _interned(keys: np.ndarray) -> tuple[np.ndarray, list[bytes]]:
    """Number the distinct rows of `keys` by first appearance. Return the number of each row, and the rows as bytes."""
    width = keys.shape[1] * keys.itemsize
    rows = pa.Array.from_buffers(pa.binary(width), len(keys), [None, pa.py_buffer(keys)])
    encoded = rows.dictionary_encode()
    return encoded.indices.to_numpy(), encoded.dictionary.to_pylist()
