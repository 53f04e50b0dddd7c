"""Captures to flow tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from datasets import Dataset, concatenate_datasets

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.biflow import DEFAULT_IDLE_TIMEOUT, BiflowAssembler, BiflowBatch
from hf_ntg.flows.capture_file import BrokenCaptureError, read_packets
from hf_ntg.flows.packets import PacketDecoder

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

    How packets become flows is told in :mod:`hf_ntg.flows.biflow`. ``flow_id`` is the capture's name and the number of
    the flow's first packet, counted from 1 as Wireshark does.

    Args:
        path: the capture.
        idle_timeout: seconds without a packet after which the next one begins a new flow.
        label: the class of all flows; null when None.
        capture: name of the capture in the table; the file's name without suffix when None.
        max_packets: packets to keep of each flow; ``packet_count`` counts all.
        decapsulate: look inside VXLAN, GRE and IP-in-IP.
        split_offload: cut TCP packets longer than the maximum segment size into segments.

    Raises:
        InputError: the file is missing, empty, no capture, damaged or cut off, or holds no TCP or UDP packet.
    """
    reader = CaptureReader(path, idle_timeout, max_packets, decapsulate, split_offload)
    name = capture_name(path) if capture is None else capture
    tables = [flow_arrays(batch, name, label).to_dataset() for batch in reader]
    if reader.broken is not None:
        raise reader.broken
    if not tables:
        seen = ", ".join(f"{count} {reason}" for reason, count in reader.skipped.most_common()) or "no packets at all"
        raise InputError(f"{path}: no TCP or UDP packet in this capture ({seen})")
    return concatenate_datasets(tables)


class CaptureReader:
    """Streams the flows of one capture: iterate for batches of finished flows, then read what was skipped.

    Attributes:
        packets: packets read. skipped: packets left out, by reason. noticed: other things worth saying, counted.
        broken: the damage that ended the reading before the end of the file, or None.
    """

    def __init__(
        self,
        path: str | Path,
        idle_timeout: float = DEFAULT_IDLE_TIMEOUT,
        max_packets: int | None = None,
        decapsulate: bool = False,
        split_offload: bool = False,
        tell: Callable[[int], None] | None = None,
    ) -> None:
        if not idle_timeout > 0:
            raise InputError(f"idle time-out {idle_timeout}: give a number of seconds above 0")
        if max_packets is not None and max_packets < 1:
            raise InputError(f"max_packets {max_packets}: keep at least 1 packet of a flow")
        self.path = Path(path)
        self.packets = 0
        self.broken: BrokenCaptureError | None = None
        self._tell = tell
        self._decoder = PacketDecoder(decapsulate)
        self._assembler = BiflowAssembler(idle_timeout, max_packets, split_offload)

    @property
    def skipped(self) -> Counter[str]:
        return self._decoder.skipped

    @property
    def noticed(self) -> Counter[str]:
        return self._decoder.noticed + self._assembler.noticed

    def __iter__(self) -> Iterator[BiflowBatch]:
        try:
            for block in read_packets(self.path, self._tell):
                self.packets += len(block)
                self._assembler.add(self._decoder.decode(block))
                batch = self._assembler.take()
                if batch is not None:
                    yield batch
        except BrokenCaptureError as error:
            self.broken = error
        batch = self._assembler.take(everything=True)
        if batch is not None:
            yield batch


def capture_name(path: str | Path) -> str:
    """The name of a capture file without the suffixes that captures have."""
    name = Path(path).name
    for suffix in sorted(CAPTURE_SUFFIXES, key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def flow_arrays(batch: BiflowBatch, capture: str, label: str | None = None) -> FlowArrays:
    """The flows of `batch` in the schema's terms; inter-arrival times never go below 0."""
    flows = batch.flows
    gap = np.diff(batch.time, prepend=batch.time[:1])
    gap[batch.offsets[:-1]] = 0
    keys = np.frombuffer(b"".join(flow.key for flow in flows), np.uint64).reshape(-1, 5)
    initiator = np.array([flow.initiator for flow in flows])
    ports = (keys[:, 4] >> np.uint64(32)).astype(np.int64), (keys[:, 4] >> np.uint64(16)).astype(np.int64) & 0xFFFF
    from_initiator = batch.side == np.repeat(initiator, np.diff(batch.offsets))
    return FlowArrays(
        offsets=batch.offsets,
        payload_length=batch.length,
        direction=np.where(from_initiator, 1, -1).astype(np.int8),
        inter_arrival_time=(np.maximum(gap, 0) / 1e9).astype(np.float32),
        tcp_window=batch.window,
        label=np.array([label] * len(flows), dtype=object),
        flow_id=np.array([f"{capture}#{flow.number + 1}" for flow in flows], dtype=object),
        capture=np.array([capture] * len(flows), dtype=object),
        protocol=np.array([flow.protocol for flow in flows], np.int32),
        source_port=np.where(initiator == 0, ports[0], ports[1]).astype(np.int32),
        destination_port=np.where(initiator == 0, ports[1], ports[0]).astype(np.int32),
        packet_count=np.array([flow.count for flow in flows], np.int32),
    )
