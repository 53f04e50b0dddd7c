"""Writes flows as a capture: interleaved conversations, streamed so that only open flows are in memory."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np
from datasets import Dataset

from hf_ntg.errors import InputError
from hf_ntg.files import new_folder, replacing
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.capture_out.capture_record import COMMENT_PREFIX, CaptureReport, CaptureTruth
from hf_ntg.flows.capture_out.conversation import NANOSECONDS, Conversations, converse
from hf_ntg.flows.capture_out.endpoints import service_ports, speaks_tls, transport_protocols
from hf_ntg.flows.capture_out.folder_names import FolderNames
from hf_ntg.flows.capture_out.frames import CONTAINERS, FrameBuilder, comment_option, file_header
from hf_ntg.flows.capture_out.hosts import HostModel
from hf_ntg.flows.capture_out.lookups import LONGEST_LEAD, Lookups
from hf_ntg.flows.capture_out.options import CaptureOptions
from hf_ntg.flows.capture_out.payload import PayloadFiller
from hf_ntg.flows.capture_out.schedule import Schedule, Scheduled
from hf_ntg.flows.frames import as_dataset
from hf_ntg.flows.schema import TCP, in_parts
from hf_ntg.flows.view import check_view
from hf_ntg.progress import Progress

__all__ = ["CAPTURE_FORMATS", "CaptureOptions", "write_pcap"]

CAPTURE_FORMATS = tuple(f".{container}" for container in CONTAINERS)
_BYTES_AT_ONCE = 8 << 20
_MAX_IP = 65_535
_LONGEST_COMMENT = 60_000  # bytes; pcapng's options have 65,535
_END_OF_TIME = 2**32 - 1.0  # seconds since 1970 that fit 32 bits


def write_pcap(
    flows: object,
    path: str | Path,
    seed: int = 0,
    *,
    per_flow: bool = False,
    view: str | None = None,
    quiet: bool | None = None,
    **options,
) -> CaptureReport:
    """Write flows as a capture of legal TCP and UDP conversations.

    :mod:`~hf_ntg.flows.capture_out.tcp_roles` decides which packets of a flow open and close its conversation. An
    opening or closing that is missing is added. Flows in the ``payload`` view also get acknowledgements
    (:mod:`~hf_ntg.flows.capture_out.completion`).

    :func:`~hf_ntg.flows.capture_in.pcap.read_pcap` reads the flows' own lengths, directions, windows and times (to the
    microsecond) back from the capture, together with the added packets, which are marked. To get flows of the
    ``payload`` view back, remove the empty packets. With ``complete=False`` nothing is added, but a flow whose first
    packet is downstream is read back with its sides swapped, since the capture does not show which side began. Cut
    payloads stay cut.

    A table ``x.flows.csv`` is written next to the capture ``x.pcap`` (or folder ``x``). It has one line per flow:
    label, addresses, ports, start, and how many packets were added. A pcapng file also has each flow's label in a
    comment on its first packet. An import of the capture takes the labels from either. DNS look-ups (option ``dns``)
    have lines and comments of their own, and become flows of the class ``dns-lookup``. Missing columns of a flow table
    get default values: 1 ms between packets, windows of 64240, ports and protocol from
    :mod:`~hf_ntg.flows.capture_out.endpoints`, hosts from :mod:`~hf_ntg.flows.capture_out.hosts`. The same flows, seed
    and options give the same bytes.

    Args:
        flows: flow table, or a list or iterator of tables. It can be of any length: memory holds only the open flows
            and the 262,144 flows that are being mixed.
        path: ``.pcap`` (microseconds) or ``.pcapng`` (nanoseconds, and a comment that says "synthetic").
        seed: seed of order, start times, addresses, ports, initial sequence numbers and payload.
        per_flow: write one capture per flow: `path` is a new folder of files ``<label>/<number of the flow>.pcap``.
        view: packet view of the flows, ``payload`` or ``all``. If None, the view that the flows name. If they name
            none, ``payload`` if no packet of the first 262,144 flows is empty, else ``all``.
        quiet: show no progress. If None, progress is shown for a whole table only: an iterable of tables is often made
            while it is written, and its maker shows progress.
        **options: see :class:`CaptureOptions`.

    Raises:
        InputError: the flows break the schema or are neither TCP nor UDP, an option or the seed is out of range, the
            suffix is unknown, the folder is not empty, or `dns` is combined with `per_flow`.
    """
    path, settings = Path(path), CaptureOptions(**options)
    if seed < 0:
        raise InputError(f"seed {seed}: give 0 or more")
    if view is not None:
        check_view(view)
    if per_flow and settings.dns:
        raise InputError("DNS look-ups and one capture per flow: answers are used again, so they belong to no one flow")
    container = "pcap" if per_flow else path.suffix[1:]
    if container not in CONTAINERS:
        raise InputError(f"{path}: no such capture format; name the file with one of {', '.join(CAPTURE_FORMATS)}")
    stream = _Stream(replace(settings, mix=settings.mix and not per_flow), container, seed, view)
    source: Dataset | Iterable[object] = flows if in_parts(flows) else as_dataset(flows, "flows to write")
    total = len(source) if isinstance(source, Dataset) else None
    with Progress("writing", total, quiet=total is None if quiet is None else quiet) as bar:
        if per_flow:
            _write_folder(stream, source, path, bar)
        else:
            _write_file(stream, source, path, bar)
    stream.report.shared_servers = stream.hosts.shared
    return stream.report


class _Stream:
    """Turns batches of flows into conversations with hosts and times, then into bytes, and counts them."""

    def __init__(self, settings: CaptureOptions, container: str, seed: int, view: str | None) -> None:
        self.settings, self.report = settings, CaptureReport()
        self.hosts = HostModel(settings.clients, settings.servers, seed, settings.dns)
        header = 20 if self.hosts.version == 4 else 40
        self.mss = settings.mss or settings.mtu - header - 20
        self.max_datagram = _MAX_IP - 8 - (header if self.hosts.version == 4 else 0)
        self.tick = 1_000 if container == "pcap" else 1
        self.now = round(settings.start_time * 1e6) * 1_000
        flow_seed, payload_seed, order_seed = np.random.SeedSequence(seed).spawn(3)
        self.rng = np.random.default_rng(flow_seed)
        order_rng = np.random.default_rng(order_seed)
        self.schedule = Schedule(
            settings.rate, settings.class_rates, self.now, self.tick, settings.mix, order_rng, view
        )
        payload = PayloadFiller(settings.payload, np.random.default_rng(payload_seed))
        self.frames = FrameBuilder(container, self.hosts.version, self.mss, settings.mark, payload, settings.mtu)
        self.file_header = file_header(container)
        self.lookups = Lookups(self.hosts.resolver, seed, self.tick) if settings.dns else None

    def place(self, scheduled: Scheduled) -> Conversations:
        """Return conversations with addresses, ports and absolute times; ``flow`` numbers the flows of the file."""
        flows, first, settings = scheduled.flows, self.report.flows, self.settings
        self._check_end(scheduled)
        protocol, ports = transport_protocols(flows), service_ports(flows, self.rng)
        tls = self._wants_tls(flows, ports[1])
        limit = np.where(protocol == TCP, np.where(tls, min(self.mss, 2**14 + 5), self.mss), self.max_datagram)
        in_payload_view = flows.view == "payload"
        conversations = converse(flows, protocol, tls, limit, self.rng, settings.complete, self.tick, in_payload_view)
        packets, row = conversations.packets, conversations.packets["flow"]
        packets["time"] += scheduled.start[row]
        self.now = int(scheduled.start[-1])
        self._set_ends(conversations, flows, ports)
        packets["flow"] += first
        if self.frames.is_block:
            self._comment(conversations, flows)
        fragments = self.frames.fragments(packets)
        self.report.add(conversations, protocol, fragments)
        return replace(conversations, sizes=np.add.reduceat(fragments, conversations.offsets[:-1]))

    def look_up(self, conversations: Conversations, flows: FlowArrays) -> tuple[Conversations, FlowArrays] | None:
        """Return the DNS look-ups before `conversations`, with a table of them; None if there are none."""
        found = self.lookups.before(conversations, flows) if self.lookups else None
        if self.lookups is None or found is None:
            return None
        self.frames.messages.update(self.lookups.take_messages())
        if self.frames.is_block:
            self._comment(*found)
        self.report.lookups += len(found[1])
        self.report.packets += len(found[0].packets)
        return found

    def _set_ends(self, conversations: Conversations, flows: FlowArrays, ports: tuple[np.ndarray, np.ndarray]) -> None:
        packets, row, up = conversations.packets, conversations.packets["flow"], conversations.packets["upstream"]
        bounds = conversations.offsets
        start, end = packets["time"][bounds[:-1]], packets["time"][bounds[1:] - 1]
        client, client_port = self.hosts.client_ends(ports[0], start, end)
        server = self.hosts.server_addresses(flows.label)
        width = client.shape[1]
        packets["source"][:, :width] = np.where(up[:, None], client[row], server[row])
        packets["destination"][:, :width] = np.where(up[:, None], server[row], client[row])
        packets["source_port"] = np.where(up, client_port[row], ports[1][row])
        packets["destination_port"] = np.where(up, ports[1][row], client_port[row])

    def _comment(self, conversations: Conversations, flows: FlowArrays) -> None:
        """Put each flow's label on its first packet."""
        assert flows.flow_id is not None  # the schedule gives every flow an id
        first = conversations.offsets[:-1]
        options = [_comment_of(label, flow_id) for label, flow_id in zip(flows.label, flows.flow_id, strict=True)]
        conversations.packets["comment"][first] = [len(option) for option in options]
        numbers = conversations.packets["flow"][first].tolist()
        self.frames.comments.update((number, option) for number, option in zip(numbers, options, strict=True) if option)

    def _wants_tls(self, flows: FlowArrays, server_port: np.ndarray) -> np.ndarray:
        if self.settings.payload == "auto":
            return speaks_tls(flows, server_port)
        return np.full(len(flows), self.settings.payload == "tls")

    def _check_end(self, scheduled: Scheduled) -> None:
        """Raise InputError if a flow ends after the last time that captures can hold."""
        flows = scheduled.flows
        lasting = np.zeros(len(flows))
        if flows.inter_arrival_time is not None:
            lasting = np.add.reduceat(flows.inter_arrival_time, flows.offsets[:-1], dtype=np.float64)
        ends = scheduled.start / NANOSECONDS + lasting
        if ends.max() > _END_OF_TIME:
            row = int(ends.argmax())
            assert flows.flow_id is not None  # the schedule gives every flow an id
            raise InputError(
                f"flow {flows.flow_id[row]} ends beyond the year 2106, where captures do: it lasts {lasting[row]:.3g} "
                f"seconds (inter_arrival_time is in seconds), at a rate of {self.settings.rate:g}"
            )


def _comment_of(label: str | None, flow_id: str | None) -> bytes:
    if label is None:
        return b""
    text = COMMENT_PREFIX + json.dumps({"label": label, "flow_id": flow_id}).encode()
    return comment_option(text) if len(text) <= _LONGEST_COMMENT else b""


def _write_file(stream: _Stream, flows: Dataset | Iterable[object], path: Path, bar: Progress) -> None:
    """Write one capture. Packets wait until no later flow, and no look-up before it, can precede them."""
    lead = LONGEST_LEAD if stream.lookups else 0
    with ExitStack() as stack:
        truth = stack.enter_context(CaptureTruth.at(path.with_suffix(".flows.csv")))
        capture = stack.enter_context(stack.enter_context(replacing(path)).open("wb"))
        capture.write(stream.file_header)
        waiting: np.ndarray | None = None
        for batch in stream.schedule.batches(flows):
            conversations = stream.place(batch)
            truth.write(batch.flows, conversations, [path.stem] * len(batch.flows))
            looked_up = stream.look_up(conversations, batch.flows)
            parts = [] if waiting is None else [waiting]
            if looked_up is not None:
                truth.write(looked_up[1], looked_up[0], [path.stem] * len(looked_up[1]))
                parts.append(looked_up[0].packets)
            waiting = np.concatenate([*parts, conversations.packets])
            ready = waiting["time"] <= stream.now - lead
            _write_packets(stream, capture, waiting[ready])
            waiting = waiting[~ready]
            bar.update(len(batch.flows))
        assert waiting is not None  # there is a batch, or an error
        _write_packets(stream, capture, waiting)


def _write_packets(stream: _Stream, capture: IO[bytes], packets: np.ndarray) -> None:
    """Write packets in order of time, then of flow, a few megabytes at once."""
    packets = packets[np.argsort(packets["time"], kind="stable")]
    total = np.cumsum(stream.frames.sizes(packets))
    for part in np.split(packets, np.flatnonzero(np.diff(total // _BYTES_AT_ONCE)) + 1):
        capture.write(stream.frames.build(part).data)


def _write_folder(stream: _Stream, flows: Dataset | Iterable[object], folder: Path, bar: Progress) -> None:
    """Write a capture for each flow, in one folder per label. The output folder appears only when it is complete."""
    folders = FolderNames()
    whole = folder.resolve()  # "." has no name
    side_table = whole.with_name(f"{whole.name}.flows.csv")
    with new_folder(folder) as scratch, CaptureTruth.at(side_table) as truth:
        for batch in stream.schedule.batches(flows):
            first = stream.report.flows
            names = [f"{folders.name(label)}/{first + place:08d}" for place, label in enumerate(batch.flows.label)]
            conversations = stream.place(batch)
            truth.write(batch.flows, conversations, names)
            for place, name in enumerate(names):
                target = scratch / f"{name}.pcap"
                target.parent.mkdir(exist_ok=True)
                packets = conversations.packets[slice(*conversations.offsets[place : place + 2])]
                target.write_bytes(stream.file_header + stream.frames.build(packets).tobytes())
            bar.update(len(batch.flows))
