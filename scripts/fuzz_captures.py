"""Write random connections as captures in random ways, import them, and compare: the flows must be the same.

Drawn for each capture: clock (microseconds, nanoseconds, nanoseconds under the magic number for microseconds, pcapng
resolutions and offsets), an absurd time of one packet, the order of packets, a SYN that comes late or twice, copies of
all packets, the link layer, pieces of a ring, packing, and a table of labels with contradictions, host names and lines
that fit nothing. Every capture comes from the seed and its number.

    python scripts/fuzz_captures.py --count 1000 --seed 0
"""

from __future__ import annotations

import bz2
import csv
import gzip
import itertools
import lzma
import random
import struct
import sys
import zipfile
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from fuzzing import Case, count_failures, run_from_command_line

from hf_ntg.flows import load_flows
from hf_ntg.flows.importing import import_flows
from hf_ntg.flows.labelling.labels import LabelRules
from hf_ntg.flows.reading_options import ReadingOptions

FIN, SYN, PSH, ACK = 0x01, 0x02, 0x08, 0x10
BASE = 1_700_000_000_000_000  # microseconds since 1970
LABELS = ("web", "voice call", "../x", "CON", "a.", "A", "a", "🎉", " spaces ", "=1+1", "5", "null", "x;y,z\"'")
CLOCKS = ("us", "ns", "ns as us", "pcapng us", "pcapng ns", "pcapng 2^-30", "pcapng offset")
ABSURD = (0, 1, 2**31 + 7, 2**32 - 1)  # seconds since 1970
RINGS = ("r_{0:05d}_20231114{0:06d}.pcap", "dump.pcap{0}", "trace{0}", "x-{0}.pcap.gz")
PACKINGS = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


@dataclass(frozen=True)
class Sent:
    """One packet: time in microseconds, flow, side, payload, flags, numbers, and IP identification."""

    time: int
    flow: int
    up: bool
    length: int
    flags: int = ACK
    sequence: int = 0
    acknowledgement: int = 0
    number: int = 0


@dataclass
class Made:
    """A capture and what is right for it."""

    packets: list[Sent]
    labels: dict[int, str | None] = field(default_factory=dict)
    clock: str = "us"
    said: list[str] = field(default_factory=list)


def connections(rng: random.Random) -> list[Sent]:
    """Packets of a few TCP connections and UDP dialogues, in order of time, no two at one time."""
    sent: list[Sent] = []
    for flow in range(rng.randint(3, 12)):
        clock, numbers = BASE + rng.randrange(20_000_000), [rng.randrange(2**32), rng.randrange(2**32)]
        steps = [(up, size, ACK | PSH) for up, size in bodies(rng)]
        if not is_udp(flow):
            steps = [(True, 0, SYN), (False, 0, SYN | ACK), (True, 0, ACK), *steps]
            if rng.random() < 0.7:
                steps += [(True, 0, FIN | ACK), (False, 0, FIN | ACK), (True, 0, ACK)]
        for up, size, flags in steps:
            own, other = (0, 1) if up else (1, 0)
            acknowledgement = numbers[other] if flags & ACK else 0
            sent.append(Sent(clock, flow, up, size, flags, numbers[own], acknowledgement))
            numbers[own] = (numbers[own] + size + bool(flags & (SYN | FIN))) % 2**32
            clock += rng.choice((17, 950, rng.randrange(1, 400_000)))
    sent.sort(key=lambda one: one.time)
    return [replace(one, time=one.time * 2 + place, number=place % 65_535 + 1) for place, one in enumerate(sent)]


def bodies(rng: random.Random) -> list[tuple[bool, int]]:
    sizes = (1, 40, 517, 1448, rng.randint(2, 1_400))
    return [(True, rng.choice(sizes)), *((rng.random() < 0.5, rng.choice(sizes)) for _ in range(rng.randint(0, 8)))]


def is_udp(flow: int) -> bool:
    return flow % 4 == 3


def made(rng: random.Random) -> tuple[Made, list[Sent]]:
    """A capture: its packets as they are in the file, and as they must be read, in order of time."""
    capture = Made(connections(rng), clock=rng.choice(CLOCKS))
    packets = capture.packets
    if rng.random() < 0.3:
        packets = late_or_repeated_syn(rng, packets)
        capture.said.append("SYN late or twice")
    right = sorted(packets, key=lambda one: one.time)
    packets = right
    if rng.random() < 0.3:
        width = rng.choice((2, 5, 20, len(packets)))
        packets = [one for begin in range(0, len(right), width) for one in shuffled(rng, right[begin : begin + width])]
        capture.said.append(f"out of order within {width}")
    elif rng.random() < 0.3 and len(right) > 20:
        place = rng.choice((0, len(right) // 2, len(right) - 1))
        packets = [*right]
        packets[place] = replace(right[place], time=rng.choice(ABSURD) * 1_000_000 + 5)
        moved = right[place - 1] if place else right[1]
        right = sorted((replace(one, time=moved.time) if one is right[place] else one for one in right),
                       key=lambda one: one.time)  # fmt: skip
        capture.said.append(f"absurd time of packet {place}")
    capture.packets = packets
    return capture, right


def late_or_repeated_syn(rng: random.Random, packets: list[Sent]) -> list[Sent]:
    """A SYN behind the answer to it, or the same SYN again."""
    flow = rng.choice(sorted({one.flow for one in packets if one.flags == SYN}))
    own = [one for one in packets if one.flow == flow]
    if rng.random() < 0.5:
        late = replace(own[0], time=own[1].time + 1)
        return [late if one is own[0] else one for one in packets]
    return [*packets, replace(own[0], time=own[0].time + 1, number=65_535)]


def shuffled(rng: random.Random, items: list) -> list:
    return rng.sample(items, len(items))


def frame(one: Sent, link: str) -> bytes:
    ends = [(bytes([192, 0, 2, 1]), 40_000 + one.flow), (bytes([198, 51, 100, 2]), 443)]
    (source, source_port), (destination, destination_port) = ends if one.up else ends[::-1]
    body = bytes([one.number & 0xFF]) * one.length
    if is_udp(one.flow):
        segment = struct.pack(">4H", source_port, destination_port, 8 + one.length, 0) + body
    else:
        numbers = struct.pack(">II", one.sequence, one.acknowledgement)
        ports = struct.pack(">HH", source_port, destination_port)
        segment = ports + numbers + struct.pack(">BBHHH", 5 << 4, one.flags, 1_000 + one.flow, 0, 0) + body
    protocol, size = 17 if is_udp(one.flow) else 6, 20 + len(segment)
    header = struct.pack(">BBHHHBBH", 0x45, 0, size, one.number, 0, 64, protocol, 0)
    packet = header + source + destination + segment
    if link == "raw":
        return packet
    vlan = b"\x81\0\0\x07" if link == "vlan" else b""
    return bytes(12) + vlan + b"\x08\0" + packet


def written(packets: list[Sent], clock: str, link: str, copies: int) -> bytes:
    """The packets as a capture; each is followed by its copy, `copies` microseconds later, unless that is 0."""
    data = [(one.time, frame(one, link)) for one in packets]
    if copies:
        data = [pair for time, octets in data for pair in ((time, octets), (time + copies, octets))]
    kind = 101 if link == "raw" else 1
    return pcapng(data, clock, kind) if clock.startswith("pcapng") else pcap(data, clock, kind)


def pcap(data: list[tuple[int, bytes]], clock: str, link: int) -> bytes:
    magic, scale = (0xA1B23C4D if clock == "ns" else 0xA1B2C3D4), (1 if clock == "us" else 1_000)
    out = [struct.pack("<IHHiIII", magic, 2, 4, 0, 0, 262_144, link)]
    for time, octets in data:
        second, fraction = divmod(time, 1_000_000)
        out.append(struct.pack("<IIII", second, fraction * scale, len(octets), len(octets)) + octets)
    return b"".join(out)


def pcapng(data: list[tuple[int, bytes]], clock: str, link: int) -> bytes:
    resolution, per_microsecond = {"pcapng ns": (9, 1_000), "pcapng 2^-30": (0x80 | 30, 2**30 / 1e6)}.get(clock, (6, 1))
    offset = 1_600_000_000 if clock == "pcapng offset" else 0
    options = struct.pack("<HHB3x", 9, 1, resolution)
    options += struct.pack("<HHq", 14, 8, offset) if offset else b""
    blocks = [(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))]
    blocks.append((1, struct.pack("<HHI", link, 0, 0) + options + bytes(4)))
    for time, octets in data:
        ticks = round((time - offset * 1_000_000) * per_microsecond) % 2**64
        head = struct.pack("<IIIII", 0, ticks >> 32, ticks & 0xFFFFFFFF, len(octets), len(octets))
        blocks.append((6, head + octets + bytes(-len(octets) % 4)))
    sizes = (struct.pack("<I", len(body) + 12) for _, body in blocks)
    return b"".join(
        struct.pack("<I", kind) + size + body + size for (kind, body), size in zip(blocks, sizes, strict=True)
    )


def put(capture: Made, rng: random.Random, folder: Path) -> tuple[Path, ReadingOptions]:
    """Write the capture; return what to import, and the options."""
    link, sources = rng.choice(("ethernet", "vlan", "raw")), folder / "in"
    sources.mkdir()
    plain = not capture.said and not capture.clock.startswith("pcapng 2")
    copies = rng.choice((1, 30)) if plain and rng.random() < 0.25 else 0
    rules = LabelRules(table=label_table(capture, rng, folder)) if rng.random() < 0.4 else LabelRules(constant="x")
    capture.labels = capture.labels or dict.fromkeys({one.flow for one in capture.packets}, "x")
    capture.said += [capture.clock, link, *(["copies"] if copies else []), *(["label table"] if rules.table else [])]
    options = ReadingOptions(labels=rules, drop_duplicates=bool(copies))
    if plain and not copies and rng.random() < 0.3:
        bounds = sorted({0, *rng.sample(range(1, len(capture.packets)), rng.randint(1, 3)), len(capture.packets)})
        ring = rng.choice(RINGS)
        for number, (begin, end) in enumerate(itertools.pairwise(bounds)):
            data = written(capture.packets[begin:end], capture.clock, link, 0)
            (sources / ring.format(number)).write_bytes(gzip.compress(data) if ring.endswith("gz") else data)
        capture.said.append(f"{len(bounds) - 1} pieces {ring}")
        return sources, options
    data, packing = written(capture.packets, capture.clock, link, copies), rng.choice(list(PACKINGS))
    path = sources / f"{rng.choice(('x.pcap', 'x', 'x.pcapng', 'x.bin'))}{packing}"
    path.write_bytes(PACKINGS[packing](data))
    if rng.random() < 0.2:
        with zipfile.ZipFile(folder / "x.zip", "w") as archive:
            archive.write(path, path.name)
        path = folder / "x.zip"
    return path, options


def label_table(capture: Made, rng: random.Random, folder: Path) -> Path:
    """A table of 5-tuples, either way round; some flows are missing, some have two labels."""
    path, rows = folder / "labels.csv", []
    for flow in sorted({one.flow for one in capture.packets}):
        ends = [("192.0.2.1", 40_000 + flow), ("198.51.100.2", 443)]
        protocol = ("17", "udp", "UDP ") if is_udp(flow) else ("6", "tcp", " TCP")
        kind = rng.choice(("one", "one", "twice", "contradiction", "missing"))
        chosen = rng.sample(LABELS, 2)
        given = {"one": chosen[:1], "twice": chosen[:1] * 2, "contradiction": chosen, "missing": []}[kind]
        capture.labels[flow] = chosen[0] if kind in ("one", "twice") else None
        for label in given:
            (one, first), (other, second) = ends if rng.random() < 0.5 else ends[::-1]
            pad = rng.choice(("", " "))
            rows.append([f"{one}{pad}", first, f"{pad}{other}", second, rng.choice(protocol), label])
    rows += [
        ["www.example.org", 40_000, "198.51.100.2", 443, 6, "wrong"],
        ["192.0.2.0/24", 1, "198.51.100.2", 443, 6, "x"],
    ]
    rows += [["203.0.113.9", 1, "198.51.100.2", 443, 6, "idle"], ["192.0.2.1", 99_999, "198.51.100.2", 443, 6, "wrong"]]
    rng.shuffle(rows)
    with path.open("w", newline="", encoding=rng.choice(("utf-8", "utf-8-sig", "utf-16"))) as file:
        table = csv.writer(file, delimiter=rng.choice(",;\t"), lineterminator=rng.choice(("\n", "\r\n")))
        table.writerows([["source", "source_port", "destination", "destination_port", "protocol", "label"], *rows])
    return path


def differences(capture: Made, right: list[Sent], rng: random.Random, folder: Path) -> list[str]:
    """What the import has other than `right`, the packets in order of time."""
    source, options = put(capture, rng, folder)
    report = import_flows([source], folder / "out.parquet", options)
    found = {row["source_port"]: row for row in load_flows(folder / "out.parquet").to_list()}
    flows = sorted({one.flow for one in right})
    if report.broken or report.flows != len(flows) or set(found) != {40_000 + flow for flow in flows}:
        return [f"{report.flows} flows of ports {sorted(found)}, wanted {len(flows)}; {report.remarks()}"]
    wrong: Counter[str] = Counter()
    for flow in flows:
        own, row = [one for one in right if one.flow == flow], found[40_000 + flow]
        gaps = np.diff([own[0].time, *(one.time for one in own)]) / 1e6
        wrong["payload_length"] += row["payload_length"] != [one.length for one in own]
        wrong["direction"] += row["direction"] != [1 if one.up else -1 for one in own]
        wrong["gaps"] += not np.allclose(row["inter_arrival_time"], gaps, rtol=1e-6, atol=2e-6)
        wrong["packet_count"] += row["packet_count"] != len(own)
        wrong["protocol"] += row["protocol"] != (17 if is_udp(flow) else 6)
        wrong["label"] += row["label"] != capture.labels[flow]
    return [f"{name} differs in {count} of {len(flows)} flows" for name, count in wrong.items() if count]


def made_case(rng: random.Random, folder: Path) -> Case:
    """A random capture, and its judgement."""
    capture, right = made(rng)
    return ", ".join(capture.said), lambda: differences(capture, right, rng, folder)


def run(count: int, seed: int) -> int:
    """Try `count` captures; print and count those that are read wrongly."""
    return count_failures("capture", made_case, count, seed)


if __name__ == "__main__":
    sys.exit(run_from_command_line(__doc__, run))
