"""Packets a second, written, against dpkt and Scapy in one run; peak memory for few and for many flows.

Each writer gets the same packets as Python values (addresses, ports, flags, payload, time), and has to make headers,
checksums and the file of them; ours starts from the flow table, which is its input. Times are of the processor, so that
other work on the machine counts little.

Example: python scripts/benchmark_io.py write --flows 2000
         python scripts/benchmark_io.py memory --flows 10000 1000000
"""

from __future__ import annotations

import argparse
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


def rate(packets: int, work: Callable[[], object]) -> float:
    """Packets a second of processor time, the best of three."""
    best = float("inf")
    for _ in range(3):
        begin = time.process_time()
        work()
        best = min(best, time.process_time() - begin)
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
    commands.add_parser("write").add_argument("--flows", type=int, default=20_000)
    commands.add_parser("memory").add_argument("--flows", type=int, nargs="+", default=[10_000, 1_000_000])
    arguments = parser.parse_args()
    if arguments.command == "write":
        compare_writers(arguments.flows)
    elif len(arguments.flows) == 1:
        measure_memory(arguments.flows[0])
    else:  # a process each: peak memory never goes down
        for num_flows in arguments.flows:
            subprocess.run([sys.executable, __file__, "memory", "--flows", str(num_flows)], check=True)


if __name__ == "__main__":
    main()
