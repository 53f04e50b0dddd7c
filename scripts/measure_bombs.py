"""Measure the peak memory of reading decompression bombs; each in a process of its own.

    python scripts/measure_bombs.py [NAME …]

Prints the size of each file, how reading it ended, its seconds, and the peak of the process's memory. An import of a
small table comes first: what Python and the libraries take by themselves.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

_PROGRAM = """
import atexit
from pathlib import Path
atexit.register(lambda: print(Path("/proc/self/status").read_text()))
from hf_ntg.cli import main
main()
"""
_PEAK = re.compile(r"VmHWM:\s+(\d+) kB")  # of this program alone: a process inherits the peak of the one it came from
_ROW = {"payload_length": [1, 2], "direction": [1, -1], "label": "web"}


def main() -> None:
    """Make every bomb, read it, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"some of {', '.join(BOMBS)}; all by default")
    names = parser.parse_args().names or list(BOMBS)
    print(f"{'bomb':<26} {'file, KiB':>10} {'exit':>5} {'seconds':>8} {'peak, MiB':>10}  said")
    for name in names:
        with tempfile.TemporaryDirectory() as scratch:
            path = BOMBS[name](Path(scratch))
            begin = time.monotonic()
            status, peak, said = _read(path, Path(scratch) / "out.parquet")
            size = path.stat().st_size / 1024
            spent = time.monotonic() - begin
            print(f"{name:<26} {size:>10,.0f} {status:>5} {spent:>8.1f} {peak:>10,.0f}  {said[:90]}", flush=True)


def _read(path: Path, output: Path) -> tuple[int, float, str]:
    """Import `path` in a process of its own: its exit code, its peak memory in MiB, and its last line."""
    command = [sys.executable, "-c", _PROGRAM, "import", str(path), "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    peak = _PEAK.search(done.stdout)
    lines = (done.stderr.strip() or done.stdout.strip()).replace(str(path.parent), "").splitlines()
    return done.returncode, int(peak[1]) / 1024 if peak else 0, lines[-1] if lines else ""


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
    "gzip, one line of 1 GB": _gz_line,
    "gzip, 2 GB of zeros": _gz_zeros,
    "zip, 2 GB of zeros": _zip,
    "zips in a zip": _zips_in_zip,
}

if __name__ == "__main__":
    main()
