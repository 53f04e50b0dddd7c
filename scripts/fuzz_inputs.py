"""Inputs for scripts/fuzz_readers.py: small files with a bit of everything, and damage done to them."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import random
import struct
import zipfile
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["COLUMNS", "KINDS", "found_samples", "made_samples", "mutated"]

KINDS = {
    "pcap": ".pcap",
    "pcapng": ".pcapng",
    "mirage": ".json",
    "zip": ".zip",
    "cesnet": ".csv",
    "table": ".csv",
    "lines": ".jsonl",
    "export": ".tsv",
    "parquet": ".parquet",
    "flows": ".parquet",
}
"""What is damaged, and the suffix of its files; "parquet" is imported, "flows" is loaded as a table of ours."""
COLUMNS = {"payload_length": "SIZES", "inter_arrival_time": "GAPS:ms", "label": "CLASS", "source": "FROM"}
"""The names in the tables that need a map."""

_LARGEST_SAMPLE = 3_000  # bytes of a sample that are used: small inputs make many of them
_NUMBERS = (0, 1, 2, 3, 4, 6, 17, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_WORDS = (
    b"[", b"]", b"{", b"}", b",", b":", b'"', b"\n", b"-1", b"1e999", b"NaN", b"null", b"9" * 30, b"[[[[", b"\xff",
    b"\0", b"true", b"[]", b"\r", b"\\u0000",
)  # fmt: skip
_PACKABLE = ("pcap", "pcapng", "mirage", "cesnet", "table", "lines", "export")  # may come packed
_PACKINGS = (lambda data: gzip.compress(data, 1, mtime=0), bz2.compress, lzma.compress)


def mutated(rng: random.Random, kind: str, data: bytes) -> bytes:
    """`data` with some damage."""
    if kind == "zip" and rng.random() < 0.5:
        return _repacked(rng, data)
    if kind in ("parquet", "flows") and rng.random() < 0.5:
        return made_parquet(rng)
    out = _damaged(rng, data)
    if kind in _PACKABLE and rng.random() < 0.03:
        squeezed = bytearray(rng.choice(_PACKINGS)(out))
        if rng.random() < 0.5:
            squeezed[rng.randrange(len(squeezed))] ^= 1 << rng.randrange(8)
        return bytes(squeezed)
    return out


def _damaged(rng: random.Random, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        place, size = rng.randrange(len(out) + 1), rng.choice((1, 2, 4, 8, 40))
        action = rng.randrange(8)
        if action == 0 and out:
            out[place % len(out)] ^= 1 << rng.randrange(8)
        elif action == 1 and out:
            out[place % len(out)] = rng.randrange(256)
        elif action == 2:
            number, order = rng.choice(_NUMBERS), rng.choice("<>")
            out[place : place + 4] = struct.pack(order + "I", number)
        elif action == 3:
            out[place : place + 2] = struct.pack(rng.choice("<>") + "H", rng.choice(_NUMBERS) & 0xFFFF)
        elif action == 4:
            del out[place : place + size]
        elif action == 5:
            out[place:place] = out[rng.randrange(len(out) + 1) :][:size]
        elif action == 6:
            out[place:place] = rng.choice(_WORDS)
        elif rng.random() < 0.3:
            del out[place:]
        else:
            out[place : place + size] = rng.randbytes(size)
    return bytes(out)


def _repacked(rng: random.Random, data: bytes) -> bytes:
    """The zip `data` with damage to one of its members, packed anew; damaged as a whole where it cannot be read."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(one.filename, archive.read(one)) for one in archive.infolist()]
        if not members:
            return _damaged(rng, data)
        victim = rng.randrange(len(members))
        members[victim] = members[victim][0], _damaged(rng, members[victim][1])
        return zipped(members, rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, ValueError, zlib.error):
        return _damaged(rng, data)


def zipped(members: list[tuple[str, bytes]], method: int) -> bytes:
    """A zip with these members, all of one day."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return packed.getvalue()


def found_samples(folder: Path) -> list[tuple[str, bytes]]:
    """The beginnings of the captures, MIRAGE and CESNET files in `folder`."""
    kinds = {KINDS[kind]: kind for kind in ("pcap", "pcapng", "mirage", "cesnet")}
    found = [path for path in sorted(folder.rglob("*")) if path.suffix in kinds and path.is_file()]
    return [(kinds[path.suffix], path.read_bytes()[:_LARGEST_SAMPLE]) for path in found]


def made_samples() -> list[tuple[str, bytes]]:
    """Small files with a bit of everything, by kind."""
    mirage = made_mirage()
    name = "device/1539866692_com.app_MIRAGE-2019_traffic_dataset_labeled_biflows.json"
    inner = zipped([(name, mirage), ("device/readme.txt", b"hello")], zipfile.ZIP_DEFLATED)
    cesnet = "ID,SRC_IP,DST_IP,SRC_PORT,DST_PORT,PROTOCOL,PACKETS,PACKETS_REV,PPI,APP\n"
    cesnet += '1,1.2.3.4,5.6.7.8,4000,443,17,2,1,"[[0, 6, 7], [1, -1, 1], [1200, 1200, 40]]",youtube\n'
    cesnet += '2,1.2.3.4,5.6.7.8,4000,443,6,2,1,"[[0, 6], [1, -1], [517, 1448], [1, 0]]",zoom\n'
    table = 'SIZES,GAPS,CLASS,FROM,protocol\n"[5, -1448]","[0, 2.5]",web,1.2.3.4,6\n5|-6,0 1,dns,::1,17\n'
    lines = '{"payload_length": [5, 1448, -1], "direction": ["out", "in", null], "label": "web", "tcp_window": null}\n'
    lines += '{"payload_length": [7], "direction": ["out"], "timestamp": [1700000000000], "protocol": "udp"}\n'
    export = "src_port\tprotocol\tapplication_name\tsplt_direction\tsplt_ps\tsplt_piat_ms\n"
    export += "4000\t6\tTLS\t[0, 1, -1]\t[60, 52, -1]\t[0, 10, -1]\n4001\t17\tDNS\t[0, 1, 0]\t[60, 90, 7]\t[0, 1, 2]\n"
    return [
        *made_captures(),
        ("mirage", mirage),
        ("zip", inner),
        ("zip", zipped([("all/Teams.zip", inner), (name, mirage)], zipfile.ZIP_STORED)),
        ("cesnet", cesnet.encode()),
        ("table", table.encode()),
        ("lines", lines.encode()),
        ("export", export.encode()),
        *((kind, made_parquet(random.Random("plain"))) for kind in ("parquet", "flows")),
    ]


def made_mirage() -> bytes:
    flow = {
        "packet_data": {
            "packet_dir": [0, 1, 0], "L4_payload_bytes": [0, 0, 100], "iat": [0, 0.1, 2e-05],
            "TCP_win_size": [65535, 26847, 343], "L4_raw_payload": [[], [], [22, 3, 1]],
        },
        "flow_metadata": {"BF_label": "com.app", "BF_labeling_type": "exact", "BF_num_packets": 9},
    }  # fmt: skip
    return json.dumps({f"10.0.0.1,{port},10.0.0.2,443,6": flow for port in (4000, 4001, 4002)}).encode()


def made_parquet(rng: random.Random) -> bytes:
    """A table whose columns have our names, or those of :data:`COLUMNS`, and types that may or may not do."""
    odd = [
        (pa.int32(), lambda: rng.choice((0, 6, 17, 443, 70_000, -1, None))),
        (pa.int64(), lambda: rng.choice((0, 6, 2**40, None))),
        (pa.string(), lambda: rng.choice(("web", "", "1.2.3.4", "[1, 2]", "5;6", "nan", None))),
        (pa.float64(), lambda: rng.choice((0.0, 1.5, float("nan"), float("inf"), None))),
        (pa.binary(), lambda: rng.choice((b"", b"\xff\0", None))),
        (pa.bool_(), lambda: rng.choice((True, False, None))),
        (pa.timestamp("ns"), lambda: rng.choice((0, 2**62, -(2**63), None))),
    ]
    rows = rng.randrange(4)
    sizes = [rng.randrange(1, 5) for _ in range(rows)]
    columns = {}
    usual = {"payload_length": (0, 517, 1448), "direction": (1, -1), "inter_arrival_time": (0, 1, 500)}
    usual |= {"tcp_window": (0, 65_535), "label": ("web", None), "protocol": (6, 17), "source_port": (443, None)}
    usual |= {"packet_count": (9, None), "flow_id": ("a", "b"), "FROM": ("1.2.3.4", "::1", "x")}
    for place, (name, values) in enumerate(usual.items()):
        if rng.random() < (0.05 if name in ("payload_length", "direction", "label") else 0.2):
            continue
        kind, draw = rng.choice(odd) if rng.random() < 0.1 else (None, lambda values=values: rng.choice(values))
        lengths = sizes if rng.random() < 0.95 else [rng.randrange(4) for _ in range(rows)]
        is_list = (place < 4) != (rng.random() < 0.03)
        cells = [[draw() for _ in range(size)] for size in lengths] if is_list else [draw() for _ in range(rows)]
        if rows and rng.random() < 0.03:
            cells[0] = None
        name = COLUMNS.get(name, name).partition(":")[0] if rng.random() < 0.1 else name
        columns[name] = pa.array(cells, pa.list_(kind) if is_list and kind else kind)
    packed = io.BytesIO()
    pq.write_table(pa.table(columns), packed, compression=rng.choice(("none", "snappy", "zstd")))
    return packed.getvalue()


def made_captures() -> list[tuple[str, bytes]]:
    """One capture in every form, of the frames of :func:`made_frames`."""
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
    return [
        ("pcap", little),
        ("pcap", big),
        ("pcap", modified),
        ("pcapng", b"".join(blocks)),
        *made_links(frames[0][14:]),
    ]


def made_links(packet: bytes) -> list[tuple[str, bytes]]:
    """An IPv4 packet behind the headers of links that are rare: a pcap for each, and all of them in one pcapng."""
    wireless = b"\x08\x01" + bytes(22) + bytes.fromhex("aaaa030000000800")
    heads = {
        9: b"\xff\x03\0\x21", 50: b"\x0f\0\x08\0", 51: bytes.fromhex("1100000100420021"), 104: b"\x0f\0\x08\0",
        105: wireless, 107: b"\x18\x41\x03\xcc", 117: b"\x3d" + bytes(63), 127: b"\0\0\x08\0" + bytes(4) + wireless,
        192: struct.pack("<BBHI", 0, 0, 8, 105) + wireless, 219: struct.pack(">I", 0x00010100),
        239: bytes(4) + b"\x08\0\x01\0" + bytes(4) + struct.pack("<HH", 4 + len(packet), 9),
        258: struct.pack("<III", 12, 1, 1) + bytes(12) + b"\x08\0", 276: b"\x08\0" + bytes(18),
    }  # fmt: skip
    found, blocks = [], [_block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))]
    for place, (link, head) in enumerate(heads.items()):
        frame = head + packet
        record = struct.pack("<IIII", 1_700_000_000, 0, len(frame), len(frame)) + frame
        found.append(("pcap", struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, link) + 2 * record))
        blocks.append(_block(1, struct.pack("<HHI", link, 0, 0)))
        padded = frame + bytes(-len(frame) % 4)
        blocks.append(_block(6, struct.pack("<IIIII", place, 0, place, len(frame), len(frame)) + padded))
    return [*found, ("pcapng", b"".join(blocks))]


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
        frame(ipv4(bytes.fromhex("100088be00000001") + bytes(8) + frame(plain, 0x0800), 47), 0x0800),
        frame(
            ipv4(struct.pack(">HHHHBBHI", 2152, 2152, 0, 0, 0x34, 255, 0, 7) + b"\0\0\0\x85\1\0\0\0" + plain, 17),
            0x0800,
        ),
        frame(ipv4(struct.pack(">HHHHI4x", 5000, 6081, 0, 0, 0x0800) + plain, 17), 0x0800),
        frame(ipv4(plain, 4), 0x0800),
        frame(bytes.fromhex("aaaa030000000800") + plain, 60),
    ]


def _block(kind: int, body: bytes) -> bytes:
    size = len(body) + 12
    return struct.pack("<II", kind, size) + body + struct.pack("<I", size)
