"""Packets a second, read and written, against dpkt, Scapy and nfstream in one run; flows a second out of other people's
tables; peak memory for little and for much.

Each reader gets the same capture: dpkt and Scapy decode every packet and make no flows of them, nfstream and we do.
Each writer gets the same packets as Python values (addresses, ports, flags, payload, time), and has to make headers,
checksums and the file of them; ours starts from the flow table, which is its input. Times are of the processor, so that
other work on the machine counts little.

Example: python scripts/benchmark_io.py read --flows 20000
         python scripts/benchmark_io.py read-memory --megabytes 10 2048
         python scripts/benchmark_io.py write --flows 2000
         python scripts/benchmark_io.py memory --flows 10000 1000000
         python scripts/benchmark_io.py tables --cesnet day.csv --mirage session.json
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from datasets import Dataset

from hf_ntg.flows import FlowArrays, write_pcap
from hf_ntg.flows.capture_in.capture_file import read_packets
from hf_ntg.flows.capture_in.pcap import CaptureReader
from hf_ntg.flows.table_in.cesnet import CesnetReader
from hf_ntg.flows.table_in.mirage import MirageReader

PACKETS_A_FLOW = 12


def made_flows(count: int, seed: int = 0, largest: int = 1_461) -> Dataset:
    """TCP flows of 12 packets: a handshake, then packets of 0 to `largest` bytes either way, two in five empty."""
    rng = np.random.default_rng(seed)
    shape = (count, PACKETS_A_FLOW)
    length = np.where(rng.random(shape) < 0.4, 0, rng.integers(0, largest, shape))
    direction = rng.choice(np.array([1, -1], dtype=np.int8), shape)
    length[:, :3], direction[:, :3] = 0, [1, -1, 1]
    gaps = rng.exponential(0.05, shape)
    gaps[:, 0] = 0
    return FlowArrays(
        offsets=np.arange(count + 1) * PACKETS_A_FLOW,
        payload_length=length.ravel().astype(np.int32),
        direction=direction.ravel(),
        label=np.full(count, "web", dtype=object),
        inter_arrival_time=gaps.ravel().astype(np.float32),
        tcp_window=rng.integers(1, 65_536, length.size, dtype=np.int32),
        protocol=np.full(count, 6, dtype=np.int32),
    ).to_dataset()


def packet_values(capture: Path) -> list[tuple]:
    """What the other writers start from: every field that a packet of `capture` was made of."""
    import dpkt

    values = []
    with capture.open("rb") as file:
        for seconds, frame in dpkt.pcap.Reader(file):
            ip = dpkt.ethernet.Ethernet(frame).data
            tcp = ip.data
            fields = (tcp.sport, tcp.dport, tcp.seq, tcp.ack, tcp.flags, tcp.win, bytes(tcp.opts), bytes(tcp.data))
            values.append((seconds, ip.src, ip.dst, *fields))
    return values


def write_with_dpkt(values: list[tuple], path: Path) -> None:
    import dpkt

    with path.open("wb") as file:
        writer = dpkt.pcap.Writer(file)
        for seconds, source, destination, sport, dport, seq, ack, flags, window, options, payload in values:
            tcp = dpkt.tcp.TCP(sport=sport, dport=dport, seq=seq, ack=ack, flags=flags, win=window, data=payload)
            tcp.opts = options
            tcp.off = 5 + len(options) // 4
            ip = dpkt.ip.IP(src=source, dst=destination, p=6, data=tcp)
            ip.len = len(ip)
            frame = dpkt.ethernet.Ethernet(src=b"\2\0\0\0\0\1", dst=b"\2\0\0\0\0\2", type=0x0800, data=ip)
            writer.writepkt(bytes(frame), seconds)


def write_with_scapy(values: list[tuple], path: Path) -> None:
    from scapy.layers.inet import IP, TCP
    from scapy.layers.l2 import Ether
    from scapy.packet import Raw
    from scapy.utils import PcapWriter

    with PcapWriter(str(path)) as writer:
        for seconds, source, destination, sport, dport, seq, ack, flags, window, options, payload in values:
            ends = {"src": ".".join(map(str, source)), "dst": ".".join(map(str, destination))}
            mss = [("MSS", 1460), ("NOP", None), ("WScale", 7)] if options else []
            tcp = TCP(sport=sport, dport=dport, seq=seq, ack=ack, flags=flags, window=window, options=mss)
            frame = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(**ends) / tcp
            frame = frame / Raw(payload) if payload else frame
            frame.time = seconds
            writer.write(frame)


def read_with_dpkt(path: Path) -> None:
    import dpkt

    with path.open("rb") as file:
        for _, frame in dpkt.pcap.Reader(file):
            dpkt.ethernet.Ethernet(frame)


def read_with_scapy(path: Path, most: int) -> None:
    from itertools import islice

    from scapy.layers.l2 import Ether
    from scapy.utils import PcapReader

    with PcapReader(str(path)) as packets:
        for packet in islice(packets, most):
            assert isinstance(packet, Ether)


def read_with_nfstream(path: Path) -> None:
    from nfstream import NFStreamer

    streamer = NFStreamer(str(path), splt_analysis=32, accounting_mode=3, n_dissections=0, n_meters=1)
    for _ in streamer:
        pass


def compare_readers(num_flows: int) -> None:
    """Read a capture of `num_flows` flows of ours; then say who took how long."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "read.pcap"
        packets = write_pcap(made_flows(num_flows), path).packets
        few = min(packets, 20_000)
        size = path.stat().st_size / 2**20
        rates = {
            "hf_ntg": rate(packets, lambda: list(CaptureReader(path))),
            "hf_ntg 32": rate(packets, lambda: list(CaptureReader(path, max_packets=32))),
            "dpkt": rate(packets, lambda: read_with_dpkt(path)),
            "scapy": rate(few, lambda: read_with_scapy(path, few)),
            "nfstream": rate(packets, lambda: read_with_nfstream(path)),
        }
        print(f"reading pcap, {packets} packets in {size:.0f} MiB ({few} for scapy)")
        for name, found in rates.items():
            print(f"{name:10} {found:12,.0f} packets/s {rates['hf_ntg'] / found:8.1f} x")


def repeat_capture(base: Path, path: Path, megabytes: int) -> None:
    """The packets of `base` again and again, each time an hour later, until there are so many bytes."""
    data = np.frombuffer(base.read_bytes(), np.uint8)
    (block,) = read_packets(base)
    headers = block.start - 16
    seconds = block.time // 10**9
    later = data.copy()
    with path.open("wb") as file:
        file.write(data.tobytes())
        for turn in range(1, megabytes * 2**20 // len(data) + 1):
            fields = (seconds + 3600 * turn).astype("<u4")[:, None].view(np.uint8)
            later[headers[:, None] + np.arange(4)] = fields
            file.write(later[24:].tobytes())


def measure_reading_memory(megabytes: int) -> None:
    """Import a capture of so many megabytes in this process, then say its peak memory."""
    from hf_ntg.flows.importing import import_flows
    from hf_ntg.flows.reading_options import ReadingOptions

    with tempfile.TemporaryDirectory() as folder:
        base, path, output = (Path(folder) / name for name in ("base.pcap", "long.pcap", "flows.parquet"))
        write_pcap(made_flows(200), base)
        repeat_capture(base, path, megabytes)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        begin = time.process_time()
        report = import_flows([path], output, ReadingOptions(max_packets=32))
        spent, peak = time.process_time() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        size = path.stat().st_size / 2**20
    print(f"{size:8,.0f} MiB {report.flows:9,} flows {spent:7.1f} s  peak {peak:6.0f} MiB ({before:.0f} before)")


def measure_tables(cesnet: Path, mirage: Path) -> None:
    """Flows a second out of other people's tables, each file repeated until it takes seconds; pandas beside it."""
    import json

    import pandas as pd

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "day.csv"
        header, *rows = cesnet.read_text().splitlines(keepends=True)
        path.write_text(header + "".join(rows) * (20_000 // len(rows)))
        count = 20_000 // len(rows) * len(rows)
        rates = {
            "CESNET": rate(count, lambda: list(CesnetReader(path))),
            "CESNET, pandas and json": rate(count, lambda: pd.read_csv(path)["PPI"].map(json.loads)),
        }
        flows = json.loads(mirage.read_text())
        path = Path(folder) / "session.json"
        repeated = {f"{turn}{key}": flow for turn in range(20) for key, flow in flows.items()}
        path.write_text(json.dumps(repeated))
        rates["MIRAGE"] = rate(len(repeated), lambda: list(MirageReader(path)))
        rates["MIRAGE, json alone"] = rate(len(repeated), lambda: json.loads(path.read_text()))
        megabytes = path.stat().st_size / 2**20
    print(f"{count} CESNET rows of at most 30 packets, {len(repeated)} MIRAGE flows in {megabytes:.0f} MiB")
    for name, found in rates.items():
        print(f"{name:24} {found:12,.0f} flows/s")


def processor_seconds() -> float:
    """Of this process and of those it has started and waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def rate(packets: int, work: Callable[[], object]) -> float:
    """Packets a second of processor time, the best of three."""
    best = float("inf")
    for _ in range(3):
        begin = processor_seconds()
        work()
        best = min(best, processor_seconds() - begin)
    return packets / best


def compare_writers(num_flows: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, flows = Path(folder) / "ours.pcap", made_flows(num_flows)
        packets = write_pcap(flows, path).packets
        rates = {"hf_ntg": rate(packets, lambda: write_pcap(flows, path))}
        values = packet_values(path)
        few = values[:10_000]
        for name, writer in (("dpkt", write_with_dpkt), ("scapy", write_with_scapy)):
            rates[name] = rate(len(few), lambda writer=writer, name=name: writer(few, Path(folder) / name))
        print(f"writing pcap, {packets} packets ({len(few)} for dpkt and scapy)")
        for name, found in rates.items():
            print(f"{name:8} {found:12,.0f} packets/s {rates['hf_ntg'] / found:8.1f} x")


def stream(num_flows: int) -> Iterator[Dataset]:
    for begin in range(0, num_flows, 10_000):
        yield made_flows(min(10_000, num_flows - begin), seed=begin, largest=100)


def measure_memory(num_flows: int) -> None:
    """Write `num_flows` flows in this process, then say its peak memory."""
    with tempfile.TemporaryDirectory() as folder:
        path, begin = Path(folder) / "x.pcap", time.process_time()
        report = write_pcap(stream(num_flows), path)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        spent, size = time.process_time() - begin, path.stat().st_size / 2**20
    print(f"{report.flows:9,} flows {report.packets:11,} packets {size:8,.0f} MiB {spent:7.1f} s  peak {peak:6.0f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("read").add_argument("--flows", type=int, default=20_000)
    commands.add_parser("read-memory").add_argument("--megabytes", type=int, nargs="+", default=[10, 2048])
    commands.add_parser("write").add_argument("--flows", type=int, default=20_000)
    commands.add_parser("memory").add_argument("--flows", type=int, nargs="+", default=[10_000, 1_000_000])
    tables = commands.add_parser("tables")
    tables.add_argument("--cesnet", type=Path, required=True, help="a CESNET CSV file")
    tables.add_argument("--mirage", type=Path, required=True, help="a MIRAGE JSON file")
    arguments = parser.parse_args()
    if arguments.command == "tables":
        measure_tables(arguments.cesnet, arguments.mirage)
    elif arguments.command == "read":
        compare_readers(arguments.flows)
    elif arguments.command == "write":
        compare_writers(arguments.flows)
    else:
        option = "megabytes" if arguments.command == "read-memory" else "flows"
        amounts = getattr(arguments, option)
        if len(amounts) == 1:
            (measure_reading_memory if option == "megabytes" else measure_memory)(amounts[0])
        else:  # a process each: peak memory never goes down
            for amount in amounts:
                subprocess.run([sys.executable, __file__, arguments.command, f"--{option}", str(amount)], check=True)


if __name__ == "__main__":
    main()
