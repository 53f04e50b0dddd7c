"""Captures to flow tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from datasets import Dataset, concatenate_datasets

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.capture_in.biflow import DEFAULT_IDLE_TIMEOUT, BiflowAssembler, BiflowBatch
from hf_ntg.flows.capture_in.capture_file import read_packets
from hf_ntg.flows.capture_in.packets import PacketDecoder
from hf_ntg.flows.labelling.sni import ServerNames
from hf_ntg.flows.reading import BrokenFileError, FlowBatch, Tell

__all__ = ["CAPTURE_SUFFIXES", "CaptureReader", "capture_name", "read_pcap"]

CAPTURE_SUFFIXES = (".pcap", ".pcapng", ".cap", ".dmp", ".pcap.gz", ".pcapng.gz", ".cap.gz")


def read_pcap(
    path: str | Path,
    *,
    idle_timeout: float = DEFAULT_IDLE_TIMEOUT,
    label: str | None = None,
    capture: str | None = None,
    max_packets: int | None = None,
    decapsulate: bool = False,
    split_offload: bool = False,
) -> Dataset:
    """Read the TCP and UDP flows of a capture (pcap or pcapng, plain or gzip), in the order of their first packets.

    How packets become flows is told in :mod:`~hf_ntg.flows.capture_in.biflow`. ``flow_id`` is the capture's name and
    the number of the flow's first packet, counted from 1 as Wireshark does.

    Args:
        path: the capture.
        idle_timeout: seconds without a packet after which the next one begins a new flow.
        label: the class of all flows; null when None.
        capture: name of the capture in the table; the file's name without suffix when None.
        max_packets: packets to keep of each flow; ``packet_count`` counts all.
        decapsulate: look inside tunnels: VXLAN, Geneve and GTP-U over UDP, GRE with ERSPAN and PPTP, IP-in-IP.
        split_offload: cut TCP packets longer than the maximum segment size into segments.

    Raises:
        InputError: the file is missing, empty, no capture, damaged or cut off, or holds no TCP or UDP packet.
    """
    reader = CaptureReader(path, capture, idle_timeout, max_packets, decapsulate, split_offload)
    tables = [replace(batch.flows, label=np.full(len(batch), label, object)).to_dataset() for batch in reader]
    if reader.broken is not None:
        raise InputError(f"{reader.broken}; 'ntg import' keeps what lies before")
    if not tables:
        seen = ", ".join(f"{count} {reason}" for reason, count in reader.skipped.most_common()) or "no packets at all"
        raise InputError(f"{path}: no TCP or UDP packet in this capture ({seen})")
    return concatenate_datasets(tables)


class CaptureReader:
    """Streams the flows of one capture; arguments as for :func:`read_pcap`.

    Args:
        read_sni: look for the server names that clients ask for. tell: told the bytes read from the disk.

    Attributes:
        packets: packets read so far.
        skipped, noticed, broken: see :class:`hf_ntg.flows.reading.FlowReader`.
    """

    def __init__(
        self,
        path: str | Path,
        capture: str | None = None,
        idle_timeout: float = DEFAULT_IDLE_TIMEOUT,
        max_packets: int | None = None,
        decapsulate: bool = False,
        split_offload: bool = False,
        read_sni: bool = False,
        tell: Tell | None = None,
    ) -> None:
        if not idle_timeout > 0:
            raise InputError(f"idle time-out {idle_timeout}: give a number of seconds above 0")
        if max_packets is not None and max_packets < 1:
            raise InputError(f"max_packets {max_packets}: keep at least 1 packet of a flow")
        self.path = Path(path)
        self.capture = capture_name(path) if capture is None else capture
        self.packets = 0
        self.broken: BrokenFileError | None = None
        self._tell = tell
        self._decoder = PacketDecoder(decapsulate)
        self._names = ServerNames() if read_sni else None
        inspect = self._names.look if read_sni else None
        self._assembler = BiflowAssembler(idle_timeout, max_packets, split_offload, inspect)

    @property
    def skipped(self) -> Counter[str]:
        return self._decoder.skipped

    @property
    def noticed(self) -> Counter[str]:
        seen = self._decoder.noticed + self._assembler.noticed
        return seen + self._names.noticed if self._names else seen

    def __iter__(self) -> Iterator[FlowBatch]:
        try:
            for block in read_packets(self.path, self._tell):
                self.packets += len(block)
                self._assembler.add(self._decoder.decode(block))
                yield from self._finished()
        except BrokenFileError as error:
            self.broken = error.with_traceback(None)  # whose frames would keep the last block in memory
        yield from self._finished(everything=True)

    def _finished(self, everything: bool = False) -> Iterator[FlowBatch]:
        batch = self._assembler.take(everything)
        if batch is None:
            return
        gaps = np.diff(batch.time, prepend=batch.time[:1])
        gaps[batch.offsets[:-1]] = 0
        backwards = int((gaps < 0).sum())
        if backwards:
            self._assembler.noticed["steps backwards of the clock within a flow, taken as no time"] += backwards
        yield _flow_batch(batch, np.maximum(gaps, 0), self.capture, with_sni=self._names is not None)


def capture_name(path: str | Path) -> str:
    """The name of a capture file without the suffixes that captures have."""
    name = Path(path).name
    for suffix in sorted(CAPTURE_SUFFIXES, key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def _flow_batch(batch: BiflowBatch, gaps: np.ndarray, capture: str, with_sni: bool) -> FlowBatch:
    """The flows of `batch` in the schema's terms; `gaps` are its inter-arrival times in ns."""
    flows = batch.flows
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
        label=np.full(len(flows), None, object),
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
        start=np.array([flow.start for flow in flows]) / 1e9,
        sni=[flow.sni for flow in flows] if with_sni else None,
    )


def _packed(words: np.ndarray, facts: np.ndarray) -> list[bytes]:
    """Addresses of two words each as 4 or 16 bytes, by the IP version in the last byte of `facts`."""
    whole = words.astype(">u8").tobytes()
    sizes = np.where(facts & np.uint64(0xFF) == 4, 4, 16).tolist()
    return [whole[16 * row + 16 - size : 16 * row + 16] for row, size in enumerate(sizes)]
