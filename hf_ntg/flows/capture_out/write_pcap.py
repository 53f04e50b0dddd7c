"""Flows out as captures: conversations that interleave in time, streamed so that memory holds open flows only."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from datasets import Dataset, concatenate_datasets
from tqdm.auto import tqdm

from hf_ntg.errors import InputError
from hf_ntg.files import replacing
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.capture_out.capture_record import CaptureReport, CaptureTruth
from hf_ntg.flows.capture_out.conversation import NANOSECONDS, Conversations, converse
from hf_ntg.flows.capture_out.endpoints import AddressPool, service_ports, speaks_tls, transport_protocols
from hf_ntg.flows.capture_out.frames import CONTAINERS, FrameBuilder, file_header
from hf_ntg.flows.capture_out.payload import PAYLOADS, PayloadFiller
from hf_ntg.flows.schema import TCP, conform_flows

__all__ = ["CAPTURE_FORMATS", "CaptureOptions", "write_pcap"]

CAPTURE_FORMATS = tuple(f".{container}" for container in CONTAINERS)
_FLOWS_AT_ONCE = 2_048
_BYTES_AT_ONCE = 8 << 20
_ETHERNET_MTU, _MAX_IP = 1_500, 65_535
_END_OF_TIME = 2**32 - 1.0  # seconds since 1970, in 32 bits


@dataclass(frozen=True)
class CaptureOptions:
    """How flows are written.

    Args:
        rate: flows that begin a second, on average; their beginnings are a Poisson process.
        start_time: beginning of the capture, seconds since 1970 (UTC).
        complete: give TCP flows the handshake and the closing that they lack. When false, only the flow's own packets
            are written: a capture that begins and ends in the middle of conversations.
        mss: largest TCP payload of a packet, announced in SYNs; longer ones are cut up. None: 1460 for IPv4 and 1440
            for IPv6, what Ethernet carries. A packet holds one TLS record at most, 16389 bytes. UDP is cut only where
            IP's length field ends.
        clients, servers: private or documentation networks, IPv4 or IPv6, that the addresses come from.
        payload: ``random``, ``zero``, ``tls`` (TCP payload in TLS application-data records), or ``auto``: records where
            the label names TLS or the server's port is one for it, noise that parsers leave alone elsewhere; see
            :class:`~hf_ntg.flows.capture_out.payload.PayloadFiller`.
        mark: IPv4 identification of every packet (IPv6: flow label), by which the traffic is known to be synthetic;
            packets that no flow asked for bear ``mark + 1``.
    """

    rate: float = 10.0
    start_time: float = 1_577_836_800.0
    complete: bool = True
    mss: int | None = None
    clients: str = "10.0.0.0/8"
    servers: str = "203.0.113.0/24"
    payload: str = "auto"
    mark: int = 0x4E54

    def __post_init__(self) -> None:
        if not 0 < self.rate < float("inf"):
            raise InputError(f"rate {self.rate}: give a positive number of flows a second")
        if not 0 <= self.start_time < _END_OF_TIME:
            raise InputError(f"start_time {self.start_time}: give seconds since 1970, up to 2106")
        if self.payload not in PAYLOADS:
            raise InputError(f"payload {self.payload!r}: choose one of {', '.join(PAYLOADS)}")
        if not 0 <= self.mark < 2**16 - 1:
            raise InputError(f"mark {self.mark}: give a number of 16 bits, below 65535")
        if self.mss is not None and not 1 <= self.mss <= _MAX_IP - 40:
            raise InputError(f"mss {self.mss}: give 1 to {_MAX_IP - 40} bytes")


def write_pcap(
    flows: Dataset | Iterable[Dataset], path: str | Path, seed: int = 0, *, per_flow: bool = False, **options
) -> CaptureReport:
    """Write flows as a capture of legal TCP and UDP conversations.

    :mod:`~hf_ntg.flows.capture_out.tcp_roles` says which packets of a flow open and close its conversation; what it
    lacks is added. Read back by :func:`~hf_ntg.flows.capture_in.pcap.read_pcap`, the capture gives the flows' own
    lengths, directions, windows and, to the microsecond, times, with the added packets (marked as such) before and
    after them. With ``complete=False`` nothing is added and nothing is to be taken off, but a flow whose first packet
    is downstream comes back with its sides swapped: such a capture does not say who began. What was cut up comes back
    cut up.

    Beside the capture ``x.pcap`` (or folder ``x``) stands ``x.flows.csv``, one line a flow: label, addresses, ports,
    start, and how many packets were added at either end; an import of the capture takes its labels from there. What a
    flow table may lack is made up: 1 ms between packets, windows of 64240, ports and protocol as in
    :mod:`~hf_ntg.flows.capture_out.endpoints`. The same flows, seed and options give the same bytes.

    Args:
        flows: flow table, or tables one after another (a stream of any length: memory holds open flows only).
        path: ``.pcap`` (microseconds) or ``.pcapng`` (nanoseconds, and a comment that says "synthetic").
        seed: seed of start times, addresses, ports, initial sequence numbers and payload.
        per_flow: `path` is a new folder instead: ``<label>/<number of the flow>.pcap``, one for each.
        **options: see :class:`CaptureOptions`.

    Raises:
        InputError: the flows break the schema or are neither TCP nor UDP, an option or the seed is out of range, the
            suffix is unknown, or the folder holds something.
    """
    path, settings = Path(path), CaptureOptions(**options)
    if seed < 0:
        raise InputError(f"seed {seed}: give 0 or more")
    container = "pcap" if per_flow else path.suffix[1:]
    if container not in CONTAINERS:
        raise InputError(f"{path}: no such capture format; name the file with one of {', '.join(CAPTURE_FORMATS)}")
    stream = _Stream(settings, container, seed)
    with tqdm(total=len(flows) if isinstance(flows, Dataset) else None, unit=" flows", disable=None) as bar:
        if per_flow:
            _write_folder(stream, flows, path, bar)
        else:
            _write_file(stream, flows, path, bar)
    return stream.report


class _Stream:
    """Batches of flows to placed conversations, and those to bytes; keeps count on the way."""

    def __init__(self, settings: CaptureOptions, container: str, seed: int) -> None:
        self.settings, self.report = settings, CaptureReport()
        self.pool = AddressPool.parse(settings.clients, settings.servers, seed)
        header = 20 if self.pool.version == 4 else 40
        self.mss = settings.mss or _ETHERNET_MTU - header - 20
        self.max_datagram = _MAX_IP - 8 - (header if self.pool.version == 4 else 0)
        self.tick = 1_000 if container == "pcap" else 1
        self.now = round(settings.start_time * 1e6) * 1_000
        flow_seed, payload_seed = np.random.SeedSequence(seed).spawn(2)
        self.rng = np.random.default_rng(flow_seed)
        payload = PayloadFiller(settings.payload, np.random.default_rng(payload_seed))
        self.frames = FrameBuilder(container, self.pool.version, self.mss, settings.mark, payload)
        self.file_header = file_header(container)

    def place(self, flows: FlowArrays) -> Conversations:
        """Conversations with addresses, ports and absolute times; ``flow`` counts from the first flow of the file."""
        first, settings = self.report.flows, self.settings
        protocol, ports = transport_protocols(flows), service_ports(flows, self.rng)
        tls = self._wants_tls(flows, ports[1])
        limit = np.where(protocol == TCP, np.where(tls, min(self.mss, 2**14 + 5), self.mss), self.max_datagram)
        conversations = converse(flows, protocol, tls, limit, self.rng, settings.complete, self.tick)
        packets, row = conversations.packets, conversations.packets["flow"]
        packets["time"] += self._starts(flows)[row]
        ends = self.pool.pairs(first, len(flows))
        up = packets["upstream"]
        width = ends[0].shape[1]
        packets["source"][:, :width] = np.where(up[:, None], ends[0][row], ends[1][row])
        packets["destination"][:, :width] = np.where(up[:, None], ends[1][row], ends[0][row])
        packets["source_port"] = np.where(up, ports[0][row], ports[1][row])
        packets["destination_port"] = np.where(up, ports[1][row], ports[0][row])
        packets["flow"] += first
        self.report.add(conversations, protocol)
        return conversations

    def _wants_tls(self, flows: FlowArrays, server_port: np.ndarray) -> np.ndarray:
        if self.settings.payload == "auto":
            return speaks_tls(flows, server_port)
        return np.full(len(flows), self.settings.payload == "tls")

    def _starts(self, flows: FlowArrays) -> np.ndarray:
        """Beginnings of the next flows, nanoseconds since 1970; leaves ``now`` at the last of them."""
        gaps = self.rng.exponential(NANOSECONDS / self.settings.rate, size=len(flows))
        starts = self.now + np.cumsum(np.rint(gaps / self.tick).astype(np.int64) * self.tick)
        self.now = int(starts[-1])
        lasting = np.zeros(len(flows))
        if flows.inter_arrival_time is not None:
            lasting = np.add.reduceat(flows.inter_arrival_time, flows.offsets[:-1], dtype=np.float64)
        ends = starts / NANOSECONDS + lasting
        if ends.max() > _END_OF_TIME:
            row = int(ends.argmax())
            raise InputError(
                f"the flow in row {self.report.flows + row} ends beyond the year 2106, where captures do: it lasts "
                f"{lasting[row]:.3g} seconds (inter_arrival_time is in seconds), at a rate of {self.settings.rate:g}"
            )
        return starts


def _write_file(stream: _Stream, flows: Dataset | Iterable[Dataset], path: Path, bar: tqdm) -> None:
    """One capture. What is not yet written are packets later than the last flow's beginning: those of open flows."""
    with ExitStack() as stack:
        truth = stack.enter_context(CaptureTruth.at(path.with_suffix(".flows.csv")))
        capture = stack.enter_context(stack.enter_context(replacing(path)).open("wb"))
        capture.write(stream.file_header)
        waiting = None
        for batch in _batches(flows):
            conversations = stream.place(batch)
            truth.write(batch, conversations, [path.stem] * len(batch))
            packets = conversations.packets
            waiting = packets if waiting is None else np.concatenate([waiting, packets])
            ready = waiting["time"] <= stream.now
            _write_packets(stream, capture, waiting[ready])
            waiting = waiting[~ready]
            bar.update(len(batch))
        _write_packets(stream, capture, waiting)


def _write_packets(stream: _Stream, capture: IO[bytes], packets: np.ndarray) -> None:
    """In order of time (and of flow, at one time), a few megabytes at once."""
    packets = packets[np.argsort(packets["time"], kind="stable")]
    total = np.cumsum(stream.frames.sizes(packets))
    for part in np.split(packets, np.flatnonzero(np.diff(total // _BYTES_AT_ONCE)) + 1):
        capture.write(stream.frames.build(part))


def _write_folder(stream: _Stream, flows: Dataset | Iterable[Dataset], folder: Path, bar: tqdm) -> None:
    """A capture a flow, in folders of their labels; the whole folder appears at once."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: there is something already; give a new or empty folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        with CaptureTruth.at(folder.with_name(f"{folder.name}.flows.csv")) as truth:
            for batch in _batches(flows):
                names = [
                    f"{_file_name(label)}/{stream.report.flows + place:08d}" for place, label in enumerate(batch.label)
                ]
                conversations = stream.place(batch)
                truth.write(batch, conversations, names)
                for place, name in enumerate(names):
                    target = scratch / f"{name}.pcap"
                    target.parent.mkdir(exist_ok=True)
                    packets = conversations.packets[slice(*conversations.offsets[place : place + 2])]
                    target.write_bytes(stream.file_header + stream.frames.build(packets).tobytes())
                bar.update(len(batch))
        scratch.chmod(0o755)
        scratch.replace(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _file_name(label: str | None) -> str:
    return re.sub(r"[^\w.-]+", "_", label or "").strip(".") or "unlabelled"


def _batches(flows: Dataset | Iterable[Dataset]) -> Iterator[FlowArrays]:
    """Checked flows, a fixed number at once whatever the tables' sizes, so that these do not change the capture."""
    held: list[Dataset] = []
    first, room = 0, _FLOWS_AT_ONCE
    for table in [flows] if isinstance(flows, Dataset) else flows:
        begin = 0
        while begin < len(table):
            end = min(begin + room, len(table))
            held.append(table.select(range(begin, end)))
            room -= end - begin
            begin = end
            if not room:
                yield _checked(held, first)
                held, first, room = [], first + _FLOWS_AT_ONCE, _FLOWS_AT_ONCE
    if held or not first:
        yield _checked(held, first)


def _checked(parts: list[Dataset], first: int) -> FlowArrays:
    if not parts:
        raise InputError("no flows to write")
    flows = parts[0] if len(parts) == 1 else concatenate_datasets(parts)
    return FlowArrays.from_dataset(conform_flows(flows, f"flows from row {first}"))
