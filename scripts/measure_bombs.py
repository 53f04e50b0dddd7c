"""Measure the peak memory of reading decompression bombs; each in a process of its own.

    python scripts/measure_bombs.py [NAME …]

Prints the size of each file, how reading it ended, its seconds, the peak of the process's memory, and the most bytes
that lay in the folder of temporary files. An import of a small table comes first: what Python and the libraries take by
themselves. Every bomb has to be streamed or refused, in less than a gigabyte of memory.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

_PROGRAM = """
import atexit, sys
from pathlib import Path
place = sys.argv.pop()
atexit.register(lambda: Path(place).write_text(Path("/proc/self/status").read_text()))
from hf_ntg.cli import main
main()
"""
_PEAK = re.compile(r"VmHWM:\s+(\d+) kB")  # of this program alone: a process inherits the peak of the one it came from
_MOST = 1_000  # MiB
_ROW = {"payload_length": [1, 2], "direction": [1, -1], "label": "web"}


def main() -> None:
    """Make every bomb, read it, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"some of {', '.join(BOMBS)}; all by default")
    names = parser.parse_args().names or list(BOMBS)
    print(f"{'bomb':<26} {'file, KiB':>10} {'exit':>5} {'seconds':>8} {'peak, MiB':>10} {'disk, MiB':>10}  said")
    failed = []
    for name in names:
        with tempfile.TemporaryDirectory() as scratch:
            path = BOMBS[name](Path(scratch))
            begin = time.monotonic()
            found = _read(path, Path(scratch))
            size, spent = path.stat().st_size / 1024, time.monotonic() - begin
            numbers = f"{size:>10,.0f} {found.status:>5} {spent:>8.1f} {found.peak:>10,.0f} {found.disk:>10,.0f}"
            print(f"{name:<26} {numbers}  {found.said[:110]}", flush=True)
            if found.status not in (0, 2, 3) or max(found.peak, found.disk) > _MOST:
                failed.append(name)
    sys.exit(bool(failed))


@dataclass
class _Reading:
    """How an import ended: its exit code, the most MiB in memory and in its folder, and its line about the file."""

    status: int
    peak: float
    disk: float
    said: str


def _read(path: Path, scratch: Path) -> _Reading:
    """Import `path` in a process of its own, whose temporary files are in a folder of `scratch`."""
    status, place = scratch / "status", scratch / "temporary"
    place.mkdir()
    words = ["import", str(path), "--output", str(place / "out.parquet"), str(status)]
    most = 0
    with (scratch / "said").open("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *words], stdout=log, stderr=log, env=os.environ | {"TMPDIR": str(place)}
        )
        while process.poll() is None:
            most = max(most, sum(_size(one) for one in place.rglob("*")))
            time.sleep(0.05)
        log.seek(0)
        lines = [line.strip().replace(f"{scratch}/", "") for line in log]
    peak = _PEAK.search(status.read_text() if status.exists() else "")
    telling = [line for line in lines if "refused" in line or "more than" in line or line.startswith("ntg: ")]
    line = (telling or lines or [""])[-1]
    return _Reading(process.returncode, int(peak[1]) / 1024 if peak else 0, most / 2**20, line)


def _size(path: Path) -> int:
    try:
        return path.lstat().st_blocks * 512
    except OSError:  # removed meanwhile
        return 0


def _small(folder: Path) -> Path:
    path = folder / "small.jsonl"
    path.write_text(f"{json.dumps(_ROW)}\n" * 100)
    return path


def _parquet(folder: Path, columns: dict[str, pa.Array], rows: int = 1, copies: int = 1) -> Path:
    path = folder / "bomb.parquet"
    table = pa.table(columns)
    with pq.ParquetWriter(path, table.schema, compression="zstd", use_dictionary=True) as writer:
        for _ in range(copies):
            writer.write_table(table, row_group_size=rows)
    return path


def _many_flows(folder: Path) -> Path:
    rows = 1_000_000
    lists = pa.ListArray.from_arrays(pa.array(np.arange(rows + 1, dtype=np.int32)), pa.array(np.ones(rows, np.int32)))
    labels = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), ["web"]).cast(pa.string())
    return _parquet(folder, {"payload_length": lists, "direction": lists, "label": labels}, rows, 60)


def _long_lists(folder: Path) -> Path:
    size = 200_000_000
    lists = pa.ListArray.from_arrays(pa.array([0, size], pa.int32()), pa.array(np.ones(size, np.int8)))
    return _parquet(folder, {"payload_length": lists, "direction": lists, "label": pa.array(["web"])})


def _deep_lists(folder: Path) -> Path:
    rows, inner = 1_000, 50_000
    values = pa.array(np.ones(rows * inner, np.int8))
    offsets = pa.array(np.arange(rows * inner + 1, dtype=np.int32))
    deep = pa.ListArray.from_arrays(
        pa.array(np.arange(rows + 1, dtype=np.int32) * inner), pa.ListArray.from_arrays(offsets, values)
    )
    return _parquet(folder, {"payload_length": deep, "direction": deep, "label": pa.array(["web"] * rows)}, rows)


def _long_labels(folder: Path) -> Path:
    rows = 20
    lists = pa.array([[1, 2]] * rows)
    return _parquet(folder, {"payload_length": lists, "direction": lists, "label": pa.array(["x" * 20_000_000] * rows)})


def _long_row(folder: Path) -> Path:
    rows, size = 100_000, 60_000_000
    offsets = np.append(np.arange(rows, dtype=np.int32), np.int32(size))
    lists = pa.ListArray.from_arrays(pa.array(offsets), pa.array(np.ones(size, np.int8)))
    return _parquet(folder, {"payload_length": lists, "direction": lists, "label": pa.array(["web"] * rows)}, rows)


def _false_footer(folder: Path) -> Path:
    """The footer names 2 values where the page has 2e8."""
    path = _long_lists(folder)
    data, true = path.read_bytes(), _varint(2 * 200_000_000)
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    few = bytes([0x84, *[0x80] * (len(true) - 2), 0])
    path.write_bytes(data[:footer] + data[footer:].replace(true, few))
    return path


def _varint(number: int) -> bytes:
    out = []
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def _long_texts(folder: Path) -> Path:
    rows, size = 1_000, 20_000_000
    offsets = pa.array(np.linspace(0, size, rows + 1).astype(np.int32))
    texts = pa.DictionaryArray.from_arrays(pa.array(np.zeros(size, np.int32)), ["out" * 100_000])
    lists = pa.ListArray.from_arrays(offsets, pa.array(np.ones(size, np.int8)))
    deep = pa.ListArray.from_arrays(offsets, texts)
    return _parquet(folder, {"payload_length": lists, "direction": deep, "label": pa.array(["web"] * rows)}, rows)


def _gz_line(folder: Path) -> Path:
    path = folder / "bomb.jsonl.gz"
    with gzip.open(path, "wb", 6) as file:
        file.write(b'{"payload_length": [')
        for _ in range(1_000):
            file.write(b"1," * 500_000)
    return path


def _gz_zeros(folder: Path) -> Path:
    path = folder / "bomb.pcap.gz"
    with gzip.open(path, "wb", 6) as file:
        file.write(bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000"))
        for _ in range(2_000):
            file.write(bytes(1_000_000))
    return path


def _zip(folder: Path) -> Path:
    path = folder / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.csv", "w", force_zip64=True) as f:
        for _ in range(2_000):
            f.write(bytes(1_000_000))
    return path


def _zips_in_zip(folder: Path) -> Path:
    inner = _zip(folder)
    path = folder / "outer.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for number in range(20):
            archive.write(inner, f"{number}.zip")
    return path


BOMBS: dict[str, Callable[[Path], Path]] = {
    "none": _small,
    "Parquet, 6e7 flows": _many_flows,
    "Parquet, 2e8 packets": _long_lists,
    "Parquet, lists of lists": _deep_lists,
    "Parquet, 20 MB labels": _long_labels,
    "Parquet, one long row": _long_row,
    "Parquet, false footer": _false_footer,
    "Parquet, lists of texts": _long_texts,
    "gzip, one line of 1 GB": _gz_line,
    "gzip, 2 GB of zeros": _gz_zeros,
    "zip, 2 GB of zeros": _zip,
    "zips in a zip": _zips_in_zip,
}

if __name__ == "__main__":
    main()
