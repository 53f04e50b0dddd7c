"""Reads captures into flow tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from datasets import Dataset, concatenate_datasets

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.byte_stream import BrokenFileError, OnRead
from hf_ntg.flows.capture_in.assembler import DEFAULT_IDLE_TIMEOUT, BiflowAssembler
from hf_ntg.flows.capture_in.biflow import BiflowBatch
from hf_ntg.flows.capture_in.capture_file import read_packets
from hf_ntg.flows.capture_in.clock import plausible_times
from hf_ntg.flows.capture_in.duplicates import DuplicateFilter
from hf_ntg.flows.capture_in.own_labels import labels_of_comments
from hf_ntg.flows.capture_in.packet_block import PacketBlock
from hf_ntg.flows.capture_in.packets import PacketDecoder, Packets
from hf_ntg.flows.capture_in.pieces import CaptureEdges, first_time
from hf_ntg.flows.capture_in.time_order import TimeOrder
from hf_ntg.flows.labelling.sni import ServerNames
from hf_ntg.flows.reading import FlowBatch

__all__ = ["CAPTURE_SUFFIXES", "CaptureReader", "capture_name", "read_pcap"]

CAPTURE_SUFFIXES = (".pcap", ".pcapng", ".cap", ".dmp", ".pcap.gz", ".pcapng.gz", ".cap.gz")


def read_pcap(
    path: str | Path | list[str | Path],
    *,
    idle_timeout: float = DEFAULT_IDLE_TIMEOUT,
    label: str | None = None,
    capture: str | None = None,
    max_packets: int | None = None,
    decapsulate: bool = False,
    split_offload: bool = False,
    drop_duplicates: bool = False,
) -> Dataset:
    """Read the TCP and UDP flows of a capture (pcap or pcapng, plain or compressed).

    :mod:`~hf_ntg.flows.capture_in.assembler` describes how packets become flows. The flows are in the order of their
    first packets. ``flow_id`` is the capture's name and the number of the flow's first packet, counted from 1 as
    Wireshark does. A pcapng file that :func:`~hf_ntg.flows.write_pcap` wrote holds the labels of its flows.

    Args:
        path: the capture, or the rotated files of one capture in any order.
        idle_timeout: seconds without a packet after which the next one begins a new flow.
        label: the class of all flows. If None, the labels in the file are used, or null if it has none.
        capture: name of the capture in the table; the file's name without suffix if None.
        max_packets: packets to keep of each flow; ``packet_count`` counts all.
        decapsulate: look inside tunnels: VXLAN, Geneve and GTP-U over UDP, GRE with ERSPAN and PPTP, IP-in-IP.
        split_offload: cut offloaded packets, which are longer than a frame, into TCP segments and UDP datagrams.
        drop_duplicates: leave out packets that were captured twice.

    Raises:
        InputError: the file is missing, empty, damaged, cut off or not a capture, or holds no TCP or UDP packet.
    """
    reader = CaptureReader(
        path,
        capture,
        idle_timeout,
        max_packets,
        decapsulate,
        split_offload,
        drop_duplicates=drop_duplicates,
    )
    flows = [batch.flows for batch in reader]
    if label is not None:
        flows = [replace(part, label=np.full(len(part), label, object)) for part in flows]
    if reader.broken is not None:
        raise InputError(f"{reader.broken}; 'ntg import' keeps what comes before")
    if not flows:
        seen = ", ".join(f"{count} {reason}" for reason, count in reader.skipped.most_common()) or "no packets at all"
        raise InputError(f"{reader.path}: no TCP or UDP packet in this capture ({seen})")
    return concatenate_datasets([part.to_dataset() for part in flows])


class CaptureReader:
    """Streams the flows of one capture. The other arguments are those of :func:`read_pcap`.

    Args:
        read_sni: look for the server names that clients request. on_read: called with the number of bytes read from the
            disk since the last call.

    Attributes:
        paths: the files of the capture, in the order of their first packets. path: the first of them.
        packets: packets read so far.
        skipped, noticed, broken: see :class:`hf_ntg.flows.reading.FlowReader`.
    """

    def __init__(
        self,
        path: str | Path | list[str | Path],
        capture: str | None = None,
        idle_timeout: float = DEFAULT_IDLE_TIMEOUT,
        max_packets: int | None = None,
        decapsulate: bool = False,
        split_offload: bool = False,
        read_sni: bool = False,
        on_read: OnRead | None = None,
        drop_duplicates: bool = False,
    ) -> None:
        if not idle_timeout > 0:
            raise InputError(f"idle time-out {idle_timeout}: give a number of seconds above 0")
        if max_packets is not None and max_packets < 1:
            raise InputError(f"max_packets {max_packets}: keep at least 1 packet of a flow")
        paths = [Path(one) for one in path] if isinstance(path, list) else [Path(path)]
        self.paths = paths if len(paths) == 1 else sorted(paths, key=first_time)
        self.path = self.paths[0]
        self.capture = capture_name(self.path) if capture is None else capture
        self.packets = 0
        self.broken: BrokenFileError | None = None
        self._on_read = on_read
        self._noticed: Counter[str] = Counter()
        self._decoder = PacketDecoder(decapsulate)
        self._order = TimeOrder(self._noticed)
        self._duplicates = DuplicateFilter(drop_duplicates, self._noticed, self._decoder.skipped)
        self._names = ServerNames() if read_sni else None
        self._assembler = BiflowAssembler(
            idle_timeout, max_packets, split_offload, self._names.look if self._names else None
        )
        self._comments: dict[int, bytes] = {}

    @property
    def skipped(self) -> Counter[str]:
        return self._decoder.skipped

    @property
    def noticed(self) -> Counter[str]:
        seen = self._noticed + self._decoder.noticed + self._assembler.noticed
        return seen + self._names.noticed if self._names else seen

    @property
    def edges(self) -> CaptureEdges:
        """Return the flows that another file of the capture may continue. Valid once the capture has been read."""
        return self._assembler.edges

    def __iter__(self) -> Iterator[FlowBatch]:
        for block in plausible_times(self._blocks(), self._noticed):
            self._comments.update(block.comments)
            for packets in self._order.add(self._decoder.decode(block)):
                yield from self._assemble(packets)
        self._decoder.finish()
        for packets in self._order.rest():
            yield from self._assemble(packets)
        yield from self._finished(everything=True)

    def _blocks(self) -> Iterator[PacketBlock]:
        """Yield the packets of all files, numbered consecutively. At damage, reading continues with the next file."""
        for path in self.paths:
            before = self.packets
            try:
                for block in read_packets(path, self._on_read, self._noticed):
                    self.packets = before + block.first + len(block)
                    yield replace(block, first=before + block.first) if before else block
            except BrokenFileError as error:
                self.broken = self.broken or error.with_traceback(None)  # the traceback would keep the last block alive

    def _assemble(self, packets: Packets) -> Iterator[FlowBatch]:
        self._assembler.add(self._duplicates.filter(packets))
        yield from self._finished()

    def _finished(self, everything: bool = False) -> Iterator[FlowBatch]:
        batch = self._assembler.take(everything)
        if batch is None:
            return
        names = self._comments and labels_of_comments(self._comments, [flow.number for flow in batch.flows])
        yield _flow_batch(batch, self.capture, names or None, with_sni=self._names is not None)


def capture_name(path: str | Path) -> str:
    """Return the name of a capture file without its capture suffixes."""
    name = Path(path).name
    for suffix in sorted(CAPTURE_SUFFIXES, key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def _flow_batch(batch: BiflowBatch, capture: str, names: list[str | None] | None, with_sni: bool) -> FlowBatch:
    """Convert the flows of `batch` to the schema. `names` are labels from the file."""
    flows, first = batch.flows, batch.offsets[:-1]
    gaps = np.diff(batch.time, prepend=batch.time[:1])
    gaps[first] = 0
    keys = np.frombuffer(b"".join(flow.key for flow in flows), np.uint64).reshape(-1, 5)
    initiator = np.array([flow.initiator for flow in flows])
    low_port, high_port = ((keys[:, 4] >> np.uint64(shift)).astype(np.int64) & 0xFFFF for shift in (32, 16))
    low, high = _packed(keys[:, 0:2], keys[:, 4]), _packed(keys[:, 2:4], keys[:, 4])
    from_initiator = batch.side == np.repeat(initiator, np.diff(batch.offsets))
    arrays = FlowArrays(
        offsets=batch.offsets,
        payload_length=batch.length,
        direction=np.where(from_initiator, 1, -1).astype(np.int8),
        inter_arrival_time=(gaps / 1e9).astype(np.float32),
        tcp_window=batch.window,
        label=np.array(names, object) if names else np.full(len(flows), None, object),
        flow_id=np.array([f"{capture}#{flow.number + 1}" for flow in flows], dtype=object),
        capture=np.full(len(flows), capture, object),
        protocol=np.array([flow.protocol for flow in flows], np.int32),
        source_port=np.where(initiator == 0, low_port, high_port).astype(np.int32),
        destination_port=np.where(initiator == 0, high_port, low_port).astype(np.int32),
        packet_count=np.array([flow.count for flow in flows], np.int32),
    )
    ends = [(one, other) if side == 0 else (other, one) for one, other, side in zip(low, high, initiator, strict=True)]
    return FlowBatch(
        arrays,
        source=[source for source, _ in ends],
        destination=[destination for _, destination in ends],
        start=batch.time[first] / 1e9,
        sni=[flow.sni for flow in flows] if with_sni else None,
    )


def _packed(words: np.ndarray, facts: np.ndarray) -> list[bytes]:
    """Return addresses of two words each as 4 or 16 bytes. The last byte of `facts` is the IP version."""
    whole = words.astype(">u8").tobytes()
    sizes = np.where(facts & np.uint64(0xFF) == 4, 4, 16).tolist()
    return [whole[16 * row + 16 - size : 16 * row + 16] for row, size in enumerate(sizes)]
