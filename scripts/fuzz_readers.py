"""Feed mutated pcap, pcapng, MIRAGE and CESNET files to the readers: nothing but InputError may come of it.

Every input comes of the seed and its number alone, so a finding can be made again. A finding is an exception other than
InputError, flows that break the schema, or more than two seconds of processor time. Findings are written to the folder
given, and their count is the exit code (at most 100).

    python scripts/fuzz_readers.py --count 200000 --seed 0 --findings findings/ [--samples FOLDER_OF_CAPTURES]
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

import numpy as np

from hf_ntg.errors import InputError
from hf_ntg.flows.capture_in.pcap import CaptureReader
from hf_ntg.flows.schema import MAX_PAYLOAD
from hf_ntg.flows.table_in.cesnet import CesnetReader
from hf_ntg.flows.table_in.mirage import MirageReader

SECONDS_ALLOWED = 2
KINDS = (".pcap", ".pcapng", ".json", ".csv")
LARGEST_SAMPLE = 3_000  # bytes of a sample that are used: small inputs make many of them
NUMBERS = (0, 1, 2, 3, 4, 6, 17, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
WORDS = (
    b"[",
    b"]",
    b"{",
    b"}",
    b",",
    b":",
    b'"',
    b"\n",
    b"-1",
    b"1e999",
    b"NaN",
    b"null",
    b"9" * 30,
    b"[[[[",
    b"\xff",
    b"\0",
)


class TooSlowError(Exception):
    """An input on which a reader hangs."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200_000, help="inputs in all")
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--findings", type=Path, default=Path("findings"), help="folder for inputs that break a reader")
    parser.add_argument("--samples", type=Path, help="folder of captures, MIRAGE and CESNET files to mutate as well")
    options = parser.parse_args()
    samples = made_samples() + (found_samples(options.samples) if options.samples else [])
    outcomes, slowest, found = Counter(), 0.0, 0
    signal.signal(signal.SIGPROF, _too_slow)
    memory = {}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.first, options.first + options.count):
            rng = random.Random(f"{options.seed} {number}")
            kind = rng.choice(KINDS)
            data = mutated(rng, rng.choice([data for form, data in samples if form == kind]))
            path = Path(folder) / f"input{kind}"
            path.write_bytes(data)
            begun = time.process_time()
            signal.setitimer(signal.ITIMER_PROF, SECONDS_ALLOWED)
            try:
                outcomes[kind, read(path, kind, rng)] += 1
            except Exception:  # noqa: BLE001 (whatever it is, it is what we look for)
                found += 1
                options.findings.mkdir(parents=True, exist_ok=True)
                (options.findings / f"{options.seed}-{number}{kind}").write_bytes(data)
                print(f"input {number} ({kind}):\n{traceback.format_exc()}", flush=True)
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
            slowest = max(slowest, time.process_time() - begun)
            done = number - options.first + 1
            if done in (options.count // 10, options.count):
                memory[done] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    for (kind, outcome), count in sorted(outcomes.items()):
        print(f"{kind:8} {outcome:12} {count}")
    at = ", ".join(f"{megabytes} MB after {done}" for done, megabytes in memory.items())
    print(f"{options.count} inputs, {found} findings, slowest {slowest:.2f} s, peak memory {at}")
    return min(found, 100)


def read(path: Path, kind: str, rng: random.Random) -> str:
    """Read `path` with options drawn at random; tell how it went."""
    cut = rng.choice((None, 1, 5))
    if kind.startswith(".pcap"):
        switches = {name: rng.random() < 0.5 for name in ("decapsulate", "split_offload", "read_sni")}
        reader = CaptureReader(path, max_packets=cut, idle_timeout=rng.choice((0.001, 120, 1e12)), **switches)
    elif kind.startswith(".csv"):
        reader = CesnetReader(path, max_packets=cut)
    else:
        reader = MirageReader(path, max_packets=cut)
    try:
        flows = sum(checked(batch) for batch in reader)
    except InputError as error:
        if "\n" in str(error):
            raise ValueError(f"an error of more than one line: {error}") from error
        return "refused"
    return "broken off" if reader.broken else "flows" if flows else "no flows"


def checked(batch) -> int:
    """The number of flows in `batch`, which must keep to the schema."""
    flows = batch.flows
    sizes = np.diff(flows.offsets)
    sound = (
        (sizes > 0).all()
        and (flows.packet_count >= 0).all()
        and len(flows.payload_length) == len(flows.direction) == flows.offsets[-1]
        and ((flows.payload_length >= 0) & (flows.payload_length <= MAX_PAYLOAD)).all()
        and (np.abs(flows.direction) == 1).all()
        and (flows.inter_arrival_time is None or (np.isfinite(flows.inter_arrival_time)).all())
        and (flows.inter_arrival_time is None or (flows.inter_arrival_time >= 0).all())
        and (flows.tcp_window is None or ((flows.tcp_window >= 0) & (flows.tcp_window <= 65_535)).all())
    )
    if not sound:
        raise ValueError("flows that break the schema")
    if flows.offsets[-1] % 8 == 0:  # Arrow would find little that the above does not, and takes long
        flows.to_table()
    return len(flows)


def mutated(rng: random.Random, data: bytes) -> bytes:
    """`data` with some damage."""
    packed = rng.random() < 0.03
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        place, size = rng.randrange(len(out) + 1), rng.choice((1, 2, 4, 8, 40))
        action = rng.randrange(8)
        if action == 0 and out:
            out[place % len(out)] ^= 1 << rng.randrange(8)
        elif action == 1 and out:
            out[place % len(out)] = rng.randrange(256)
        elif action == 2:
            number, order = rng.choice(NUMBERS), rng.choice("<>")
            out[place : place + 4] = struct.pack(order + "I", number)
        elif action == 3:
            out[place : place + 2] = struct.pack(rng.choice("<>") + "H", rng.choice(NUMBERS) & 0xFFFF)
        elif action == 4:
            del out[place : place + size]
        elif action == 5:
            out[place:place] = out[rng.randrange(len(out) + 1) :][:size]
        elif action == 6:
            out[place:place] = rng.choice(WORDS)
        elif rng.random() < 0.3:
            del out[place:]
        else:
            out[place : place + size] = rng.randbytes(size)
    if packed:
        squeezed = bytearray(gzip.compress(bytes(out), 1, mtime=0))
        if rng.random() < 0.5:
            squeezed[rng.randrange(len(squeezed))] ^= 1 << rng.randrange(8)
        return bytes(squeezed)
    return bytes(out)


def found_samples(folder: Path) -> list[tuple[str, bytes]]:
    """The beginnings of the files in `folder` that the readers know."""
    found = [path for path in sorted(folder.rglob("*")) if path.suffix in KINDS and path.is_file()]
    return [(path.suffix, path.read_bytes()[:LARGEST_SAMPLE]) for path in found]


def made_samples() -> list[tuple[str, bytes]]:
    """Small files with a bit of everything."""
    frames = made_frames()
    little = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)
    big = struct.pack(">IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1)
    modified = little
    blocks = [_block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))]
    blocks += [_block(1, struct.pack("<HHI", 1, 0, 0) + struct.pack("<HHB3xHH", 9, 1, 9, 0, 0))]
    blocks += [_block(1, struct.pack("<HHI", 1, 0, 60))]
    for place, frame in enumerate(frames):
        head = (1_700_000_000 + place // 4, place * 1000, len(frame), len(frame))
        little += struct.pack("<IIII", *head) + frame
        big += struct.pack(">IIII", *head) + frame
        modified += struct.pack("<IIII", *head) + bytes(8) + frame
        padded = frame + bytes(-len(frame) % 4)
        blocks.append(_block(6, struct.pack("<IIIII", place % 2, 0, place, len(frame), len(frame)) + padded))
        blocks.append(_block(3, struct.pack("<I", len(frame)) + padded))
        blocks.append(_block(2, struct.pack("<HHIIII", 0, 0, 0, place, len(frame), len(frame)) + padded))
    flow = {
        "packet_data": {
            "packet_dir": [0, 1, 0], "L4_payload_bytes": [0, 0, 100], "iat": [0, 0.1, 2e-05],
            "TCP_win_size": [65535, 26847, 343], "L4_raw_payload": [[], [], [22, 3, 1]],
        },
        "flow_metadata": {"BF_label": "com.app", "BF_labeling_type": "exact", "BF_num_packets": 9},
    }  # fmt: skip
    mirage = json.dumps({f"10.0.0.1,{port},10.0.0.2,443,6": flow for port in (4000, 4001, 4002)}).encode()
    cesnet = "ID,SRC_IP,DST_IP,SRC_PORT,DST_PORT,PROTOCOL,PACKETS,PACKETS_REV,PPI,APP\n"
    cesnet += '1,1.2.3.4,5.6.7.8,4000,443,17,2,1,"[[0, 6, 7], [1, -1, 1], [1200, 1200, 40]]",youtube\n'
    cesnet += '2,1.2.3.4,5.6.7.8,4000,443,6,2,1,"[[0, 6], [1, -1], [517, 1448], [1, 0]]",zoom\n'
    captures = [(".pcap", little), (".pcap", big), (".pcap", modified)]
    return [*captures, (".pcapng", b"".join(blocks)), (".json", mirage), (".csv", cesnet.encode())]


def made_frames() -> list[bytes]:
    """Ethernet frames with every header that the reader peels off."""
    tcp = struct.pack(">HHIIBBHHH", 4000, 443, 100, 0, 0x60, 2, 65535, 0, 0) + b"\2\4\5\xb4"
    hello = bytes.fromhex("160301002f0100002b0303") + bytes(33) + bytes.fromhex("000213010100") + b"\0\0"
    data = struct.pack(">HHIIBBHHH", 4000, 443, 101, 1, 0x50, 24, 65535, 0, 0) + hello
    udp = struct.pack(">HHHH", 4001, 53, 20, 0) + bytes(12)
    quic = struct.pack(">HHHH", 4002, 443, 0, 0) + bytes.fromhex("c300000001088394c8f03e5157080000449e") + bytes(60)

    def ipv4(payload: bytes, protocol: int, fragment: int = 0) -> bytes:
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 7, fragment, 64, protocol, 0)
        return head + bytes([10, 0, 0, 1, 10, 0, 0, 2]) + payload

    def ipv6(payload: bytes, following: int) -> bytes:
        return struct.pack(">IHBB", 6 << 28, len(payload), following, 64) + bytes(31) + b"\1" + payload

    def frame(payload: bytes, kind: int) -> bytes:
        return bytes(12) + struct.pack(">H", kind) + payload

    plain, vlan = ipv4(tcp, 6), struct.pack(">HHHH", 1, 0x8100, 2, 0x0800)
    extended = ipv6(bytes([44, 0]) + bytes(6) + bytes([6, 0, 0, 1, 0, 0, 0, 9]) + tcp, 0)
    vxlan = struct.pack(">HHHHI4x", 5000, 4789, 0, 0, 0x08000000) + frame(plain, 0x0800)
    return [
        frame(plain, 0x0800),
        frame(ipv4(data, 6), 0x0800),
        frame(vlan + ipv4(udp, 17), 0x88A8),
        frame(extended, 0x86DD),
        frame(ipv4(udp, 17, 0x2000), 0x0800),
        frame(ipv4(udp, 17, 5), 0x0800),
        frame(struct.pack(">I", 0x00010100) + ipv4(quic, 17), 0x8847),
        frame(bytes.fromhex("110000010042") + b"\0\x21" + plain, 0x8864),
        frame(ipv4(vxlan, 17), 0x0800),
        frame(ipv4(bytes.fromhex("20000800") + bytes(4) + plain, 47), 0x0800),
        frame(ipv4(plain, 4), 0x0800),
        frame(bytes.fromhex("aaaa030000000800") + plain, 60),
    ]


def _block(kind: int, body: bytes) -> bytes:
    size = len(body) + 12
    return struct.pack("<II", kind, size) + body + struct.pack("<I", size)


def _too_slow(*_) -> None:
    raise TooSlowError


if __name__ == "__main__":
    sys.exit(main())
