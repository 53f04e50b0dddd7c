"""Feed damaged captures, MIRAGE files and zips, CESNET and other tables to the readers: nothing but InputError may
come of it.

A finding is an exception other than InputError, an error of several lines, flows that break the schema, more than two
seconds of processor time, or more than 3 GiB of memory asked for. Findings are written to the folder given, and their
count is the exit code (at most 100). Every input comes of the seed, its number and, with ``--guided``, of those before
it: the same call makes the same inputs again. Guided, an input of which the readers say something new is kept to be
damaged further, and so is, with ``--trace``, one that makes them step from one line of `hf_ntg.flows` to another as
none did before. Headers are decoded a block of packets at a time, so that few lines depend on the input: tracing
doubles the time and reached no more lines (2,058 steps guided, 2,078 not, after 16,000 inputs of one seed).

    python scripts/fuzz_readers.py --count 200000 --seed 0 --findings findings/ [--guided] [--samples FOLDER]
"""

from __future__ import annotations

import argparse
import faulthandler
import random
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

import numpy as np
from fuzz_inputs import COLUMNS, KINDS, found_samples, made_samples, mutated

import hf_ntg.flows
from hf_ntg.errors import InputError
from hf_ntg.flows.load import load_flows
from hf_ntg.flows.reading_options import ReadingOptions
from hf_ntg.flows.schema import MAX_PAYLOAD

SECONDS_ALLOWED = 2
MEMORY_ALLOWED = 3 << 30
LARGEST_KEPT = 8_000  # bytes of an input that is worth damaging further
MOST_KEPT = 400  # inputs of a kind
FLOWS_FOLDER = str(Path(hf_ntg.flows.__file__).parent)


class TooSlowError(Exception):
    """An input on which a reader hangs."""


class Steps:
    """Tells which steps from line to line of the readers were made for the first time."""

    def __init__(self) -> None:
        self.known: set[tuple] = set()

    def __call__(self, frame, _event, _argument):
        code = frame.f_code
        if not code.co_filename.startswith(FLOWS_FOLDER):
            return None
        before = 0

        def follow(frame, _event, _argument):
            nonlocal before
            self.known.add((code, before, frame.f_lineno))
            before = frame.f_lineno
            return follow

        return follow


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200_000, help="inputs in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--guided", action="store_true", help="keep inputs of which something new is said")
    parser.add_argument("--trace", action="store_true", help="follow steps from line to line")
    parser.add_argument("--findings", type=Path, default=Path("findings"), help="folder for inputs that break a reader")
    parser.add_argument("--samples", type=Path, help="folder of captures, MIRAGE and CESNET files to damage as well")
    options = parser.parse_args()
    faulthandler.enable()
    signal.signal(signal.SIGPROF, _too_slow)
    in_use = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    resource.setrlimit(resource.RLIMIT_DATA, (in_use + MEMORY_ALLOWED, in_use + MEMORY_ALLOWED))
    corpus = {kind: [] for kind in KINDS}
    for kind, data in made_samples() + (found_samples(options.samples) if options.samples else []):
        corpus[kind].append(data)
    given = {kind: len(samples) for kind, samples in corpus.items()}
    outcomes, slowest, found, said, steps = Counter(), 0.0, 0, set(), Steps()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.count):
            rng = random.Random(f"{options.seed} {number}")
            kind = rng.choice(list(KINDS))
            kept = corpus[kind] if rng.random() < 0.5 else corpus[kind][: given[kind]]
            data = mutated(rng, kind, rng.choice(kept))
            path = Path(folder) / f"input{KINDS[kind]}"
            path.write_bytes(data)
            reached, begun = len(steps.known) + len(said), time.process_time()
            signal.setitimer(signal.ITIMER_PROF, SECONDS_ALLOWED)
            sys.settrace(steps if options.trace else None)
            try:
                outcome, remarks = read(path, kind, rng)
                outcomes[kind, outcome] += 1
                said |= {(kind, remark) for remark in remarks}
            except Exception:  # noqa: BLE001 (whatever it is, it is what we look for)
                found += 1
                options.findings.mkdir(parents=True, exist_ok=True)
                (options.findings / f"{options.seed}-{number}{KINDS[kind]}").write_bytes(data)
                print(f"input {number} ({kind}):\n{traceback.format_exc()}", flush=True)
            finally:
                sys.settrace(None)
                signal.setitimer(signal.ITIMER_PROF, 0)
            slowest = max(slowest, time.process_time() - begun)
            is_new = len(steps.known) + len(said) > reached
            if options.guided and is_new and len(data) <= LARGEST_KEPT:
                if len(corpus[kind]) >= given[kind] + MOST_KEPT:
                    del corpus[kind][given[kind]]
                corpus[kind].append(data)
            if (number + 1) % max(options.count // 10, 1) == 0:
                held = sum(map(len, corpus.values())) - sum(given.values())
                print(
                    f"{number + 1} inputs, {found} findings, {megabytes()} MB in memory, {len(steps.known)} steps, "
                    f"{len(said)} remarks, {held} inputs kept, {time.process_time():.0f} s",
                    flush=True,
                )
    for (kind, outcome), count in sorted(outcomes.items()):
        print(f"{kind:8} {outcome:12} {count}")
    print(f"{options.count} inputs, {found} findings, slowest {slowest:.2f} s")
    return min(found, 100)


def read(path: Path, kind: str, rng: random.Random) -> tuple[str, list[str]]:
    """Read `path` with options drawn at random; tell how it went, and what was said of it, without its numbers."""
    switches = {name: rng.random() < 0.5 for name in ("decapsulate", "split_offload", "read_sni")}
    options = ReadingOptions(
        max_packets=rng.choice((None, 1, 5)),
        idle_timeout=rng.choice((0.001, 120, 1e12)),
        columns=COLUMNS if kind == "table" or (kind == "parquet" and rng.random() < 0.3) else {},
        background=rng.choice(("label", "drop", "keep")),
        **switches,
    )
    try:
        if kind == "flows":
            return "flows" if load_flows(path) else "no flows", []
        reader = options.reader(path, "capture", lambda count: None)
        flows = sum(checked(batch) for batch in reader)
    except InputError as error:
        return "refused", [_template(error)]
    remarks = [*map(_template, reader.skipped), *map(_template, reader.noticed)]
    if reader.broken:
        remarks.append(_template(reader.broken))
    return "broken off" if reader.broken else "flows" if flows else "no flows", remarks


def _template(remark: object) -> str:
    """A remark without what differs from file to file."""
    text = str(remark)
    if "\n" in text:
        raise ValueError(f"a remark of more than one line: {text!r}")
    return re.sub(r"\d+|\(.*\)|'[^']*'", "#", text)


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


def megabytes() -> int:
    """Memory in use now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() >> 20


def _too_slow(*_) -> None:
    raise TooSlowError


if __name__ == "__main__":
    sys.exit(main())
