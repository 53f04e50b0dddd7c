"""Kill jobs at random moments, give the same command again, and compare the result with an undisturbed run.

    python scripts/kill_and_rerun.py --points 20 --seed 0

Each job runs in a process of its own, which is ended by SIGKILL, SIGTERM or SIGINT at a random moment of its usual
length. The same command then has to leave the same files as the undisturbed run: weights, tables and reports byte for
byte, no scratch files, no checkpoints. Times that a study measures are left out of the comparison.

The jobs whose names begin with "launched" are trainings on two processes of torchrun. There, one of the two, or
torchrun itself, is killed; both processes have to end, and the same command has to finish the run.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # processes are copied: none may have threads

# What every job needs, imported once and before the processes are copied.
import diffusers  # noqa: F401
import pyarrow as pa
import pyarrow.parquet as pq
import sklearn.ensemble  # noqa: F401
import torch
import transformers  # noqa: F401
from attack_models import small_flows

from hf_ntg import cli
from hf_ntg.flows import save_flows

LOG = Path(tempfile.gettempdir()) / f"kill-and-rerun-{os.getpid()}.log"  # what the last job said
_MEASURED = ("study.json", "report.html", "report.md", "scores.csv")  # of a study: they hold seconds and dates
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True)
class Job:
    """A command line; INPUT is the folder of what it reads, OUT that of what it writes.

    Attributes:
        once: the command refuses to write where it has finished before. launched: it runs under torchrun.
    """

    name: str
    words: str
    once: bool = False
    launched: bool = False


TRAINING = "--batch-size 20 --max-packets 5 --checkpoint-every 1 --output OUT/model"
JOBS = (
    *(
        Job(f"train {family}", f"train INPUT/flows.parquet --model {family} --epochs {epochs} {TRAINING}")
        for family, epochs in (("gpt2", 8), ("llama", 8), ("mamba", 8), ("unet", 30))
    ),
    Job("train over a model", f"train INPUT/flows.parquet --model llama --epochs 6 --overwrite {TRAINING}"),
    Job("generate", "generate INPUT/gpt2 --num-flows 4000 --output OUT/flows.parquet"),
    Job("generate shards", "generate INPUT/unet --num-flows 2000 --num-shards 4 --output OUT/shards"),
    Job("generate workers", "generate INPUT/gpt2 --num-flows 4000 --num-proc 2 --output OUT/flows.parquet"),
    Job("export", "export INPUT/flows.parquet --output OUT/flows.pcap"),
    Job("export per flow", "export INPUT/flows.parquet --per-flow --output OUT/flows", once=True),
    Job("import", "import INPUT/flows.pcap --output OUT/flows.parquet"),
    Job("split", "split INPUT/flows.parquet --output OUT/parts"),
    Job(
        "evaluate",
        "evaluate --train INPUT/flows.parquet --test INPUT/flows.parquet --synthetic INPUT/flows.parquet "
        "--output OUT/report",
    ),
    Job(
        "study",
        "study INPUT/flows.parquet --quick --models replay,4-gram --axes fidelity --seeds 1 --by random --output OUT/s",
    ),
    Job("publish model", "publish INPUT/gpt2 org/name --dry-run --folder OUT/repository", once=True),
    Job("publish flows", "publish INPUT/made.parquet org/name --dry-run --folder OUT/repository", once=True),
    Job("launched gpt2", f"INPUT/flows.parquet --model gpt2 --epochs 10 {TRAINING}", launched=True),
)


def main() -> None:
    """Kill every job at the points, and exit 1 if a result differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", nargs="*", help="names of jobs, such as 'train gpt2'; all by default")
    options = parser.parse_args()
    torch.set_num_threads(1)
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        inputs = _make_inputs(Path(scratch) / "input")
        for job in JOBS:
            if options.jobs and job.name not in options.jobs:
                continue
            found = try_job(job, inputs, Path(scratch), options.points, options.seed)
            print(f"{job.name:<20} {options.points:>3} killed {options.points - len(found):>3} equal", flush=True)
            print("".join(f"  {line}\n" for line in found), end="", flush=True)
            failures += found
    sys.exit(bool(failures))


def try_job(job: Job, inputs: Path, scratch: Path, points: int, seed: int) -> list[str]:
    """Kill `job` at so many points; gives what differed."""
    rng = random.Random(f"{seed} {job.name}")
    whole = _fresh(job, scratch / "whole", inputs)
    started = time.monotonic()
    status = _wait(_start(job, inputs, whole))
    length = time.monotonic() - started
    wanted, failures = _contents(whole), []
    if status != 0:
        return points * [f"{job.name}: the undisturbed run exits {status}: {LOG.read_text().strip()[-300:]}"]
    for point in range(points):
        cut = _fresh(job, scratch / "cut", inputs)
        after, number = rng.uniform(0.02, 1.05) * length, rng.choice(SIGNALS)
        process = _start(job, inputs, cut)
        time.sleep(after)
        victim = _victim(process, rng) if job.launched else process
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            os.kill(victim, number)
        status = _wait(process)
        left = _left_running(str(cut)) if job.launched else 0
        if not (job.once and _contents(cut) == wanted):
            status = _wait(_start(job, inputs, cut))
        found = _contents(cut)
        if (status != 0 and not job.once) or found != wanted or left:
            names = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
            what = f"{number.name} after {after:.2f} of {length:.2f} s"
            said = LOG.read_text(errors="replace").strip().rpartition("\n")[2][-200:]
            failures.append(
                f"{job.name}, point {point}, {what}: exit {status}, differs in {names[:4]}; {left} processes "
                f"left; {said}"
            )
    return failures


def _victim(launcher: int, rng: random.Random) -> int:
    """The launcher or one of the processes that it has started."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children")
    try:
        return rng.choice([launcher, *map(int, children.read_text().split())])
    except OSError:
        return launcher


def _left_running(word: str) -> int:
    """How many processes with `word` in their command line still run after half a minute."""
    left: list[Path] = []
    for _ in range(60):
        left = [path for path in Path("/proc").glob("[0-9]*/cmdline") if word in _text(path)]
        if not left:
            return 0
        time.sleep(0.5)
    return len(left)


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return ""


def _make_inputs(folder: Path) -> Path:
    folder.mkdir()
    save_flows(small_flows(), folder / "flows.parquet")
    for family in ("gpt2", "unet"):
        words = f"train INPUT/flows.parquet --model {family} --epochs 2 --max-packets 5 --output INPUT/{family}"
        assert _wait(_start(Job(family, words), folder, folder)) == 0
    words = "generate INPUT/gpt2 --num-flows 500 --output INPUT/made.parquet"
    assert _wait(_start(Job("generate", words), folder, folder)) == 0
    assert _wait(_start(Job("export", "export INPUT/flows.parquet --output INPUT/flows.pcap"), folder, folder)) == 0
    return folder


def _fresh(job: Job, folder: Path, inputs: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    if "--overwrite" in job.words:
        shutil.copytree(inputs / "unet", folder / "model")
    return folder


def _start(job: Job, inputs: Path, out: Path) -> int:
    """Run a job in a copy of this process, or under torchrun; gives its id."""
    words = [word.replace("INPUT", str(inputs)).replace("OUT", str(out)) for word in job.words.split()]
    if job.launched:
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
        with LOG.open("w") as log:
            environment = os.environ | {"ACCELERATE_USE_CPU": "true"}
            return subprocess.Popen(
                [*command, "-m", "hf_ntg.train", *words], stdout=log, stderr=log, env=environment
            ).pid
    process = os.fork()
    if process:
        return process
    _run_and_leave(["ntg", *words])
    return 0


def _run_and_leave(words: Sequence[str]) -> None:
    sys.argv = list(words)
    log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    status: int | str | None = 1
    try:
        cli.main()
        status = 0
    except SystemExit as stopped:
        status = stopped.code
    finally:
        os._exit(status if isinstance(status, int) else 1)


def _wait(process: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def _contents(folder: Path) -> dict[str, str]:
    """Each file's name and a hash of what it holds."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            found[name] = _table(path) if path.suffix == ".parquet" else _hash(path)
    is_study = any(name.endswith("results.jsonl") for name in found)
    return {name: what for name, what in found.items() if not (is_study and Path(name).name in _MEASURED)}


def _hash(path: Path) -> str:
    """A hash of what a file holds; of a study's results, without when and how fast they were made."""
    data = path.read_bytes()
    if path.name == "results.jsonl" or path.parent.parent.name == "runs":
        rows = [json.loads(line) for line in data.splitlines()]
        data = json.dumps([row | {"made": None} for row in rows]).encode()
    return hashlib.sha256(data).hexdigest()


def _table(path: Path) -> str:
    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid:  # a scratch file that a killed process has begun
        return _hash(path)
    rows = hashlib.sha256(repr(table.to_pylist()).encode()).hexdigest()
    return f"{rows} {table.schema.to_string(show_schema_metadata=True)}"


if __name__ == "__main__":
    main()
