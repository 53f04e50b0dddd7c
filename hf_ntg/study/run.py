"""A study from the first run to the last: planned, resumed, timed."""

from __future__ import annotations

import contextlib
import json
import os
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hf_ntg
from hf_ntg.errors import InputError
from hf_ntg.files import write_text
from hf_ntg.launch import launched_share
from hf_ntg.study.plan import AXES, FINE_TUNED, REAL, SPLIT_SEED, Profile, Run, plan_runs, shard_of
from hf_ntg.study.store import GENERATOR_LAYERS, JUDGE_LAYERS, ResultStore, code_fingerprint, commit, digest

if TYPE_CHECKING:
    from hf_ntg.study.axes.bench import Workbench

__all__ = ["read_plans", "run_study", "shard_of_environment"]


def run_study(
    sources: Sequence[str],
    output: Path,
    profile: Profile,
    *,
    axes: Sequence[str] = AXES,
    shard: tuple[int, int] = (0, 1),
    redo_stale: bool = False,
    command: str = "",
    say: Callable[[str], None] = print,
) -> list[Run]:
    """Do those runs of a study that are not done yet, and keep each in `output` as it ends.

    A study that was killed goes on with the run that it was at, and training with its last checkpoint. Several
    processes, on one machine or on several that share `output`, each do a `shard` of it. A run that fails is told,
    left undone and passed over, and with it all others of its generator.

    Args:
        sources: flow tables, as for :func:`hf_ntg.load_flows`. shard: number of this process, and of all.
        redo_stale: do again what was made by other code of the same version; without it such runs are kept, and told.
        command: how the study was asked for, to be kept with the results.
        say: told of every step.

    Returns:
        The runs that failed.

    Raises:
        InputError: a flow table, a model, a split or an axis that does not exist, or one table named twice.
    """
    from hf_ntg.study.axes.bench import Workbench

    named = _named(sources)
    _check_models(profile)
    planned = plan_runs(profile, list(named), axes)
    mine = shard_of(planned, *shard)
    bench = Workbench(output, named, profile, worker=f"{shard[0]}of{shard[1]}", redo_stale=redo_stale)
    for name in named:  # a table that is not there, or cannot be split, is told before hours of work
        for by in profile.by:
            bench.split(name, by, SPLIT_SEED)
    _write_plan(output, planned, profile, command)
    store = ResultStore(output)
    found = {run: store.find(run, bench.told(run)) for run in mine}
    stale = {run for run, row in found.items() if row is not None and _is_stale(row)}
    waiting = [run for run, row in found.items() if row is None or (redo_stale and run in stale)]
    say(f"{len(planned)} runs planned, {len(mine)} for this process, {len(mine) - len(waiting)} of them done")
    if stale:
        what = "done again" if redo_stale else "kept; --redo-stale does them again"
        say(f"{len(stale)} finished runs are of other code than today's ({what})")
    if "augmentation" in axes and len(named) == 1:
        say(f"no {FINE_TUNED} generators: they need a second flow table to be trained on before")
    with _threads(shard[1]):
        return _work(waiting, bench, store, say)


def _work(waiting: list[Run], bench: Workbench, store: ResultStore, say: Callable[[str], None]) -> list[Run]:
    """Do what waits, one run after another; gives those that failed."""
    from hf_ntg.study.axes import JUDGES

    clock, failed, broken = _Clock(waiting), [], set()
    for number, run in enumerate(waiting, start=1):
        generator = (run.flows, run.by, run.seed, run.model)
        if generator in broken:
            failed.append(run)
            continue
        try:
            row = _do(run, bench, JUDGES[run.axis])
        except (InputError, ValueError, RuntimeError, ArithmeticError) as error:
            say(f"failed: {run}\n{'' if isinstance(error, InputError) else traceback.format_exc()}{error}")
            failed.append(run)
            broken |= {generator} if run.axis in AXES[:3] else set()
            continue
        store.keep(run, bench.told(run), row)
        say(clock.tell(number, run, row["made"]["seconds"]))
    return failed


def read_plans(output: Path) -> list[dict]:
    """What was asked of the study in `output`, one entry for each command: ``command``, ``runs`` and more."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(output.glob("plans/*.json"))]


def shard_of_environment() -> tuple[int, int]:
    """The shard that a launcher (``accelerate launch``, ``torchrun``) gave this process; its variables are taken away.

    Otherwise every training of the study would wait for the other processes, to train one model together.
    """
    share = launched_share()
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        os.environ.pop(name, None)
    return share


def _do(run: Run, bench: Workbench, judge: Callable[[Run, Workbench], dict]) -> dict:
    from hf_ntg.study.axes.bench import device_name

    started, cpu = time.perf_counter(), time.process_time()
    found = judge(run, bench)
    made = {
        "hf_ntg": hf_ntg.__version__,
        "commit": commit(),
        "device": device_name(),
        "code": {"generators": bench.code_of(run), "judges": code_fingerprint(JUDGE_LAYERS)},
        "told": digest(bench.told(run)),
        "seconds": round(time.perf_counter() - started, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "finished": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }
    return _plain(run.identity() | found | {"made": made})


def _is_stale(row: dict) -> bool:
    code = row["made"]["code"]
    if code["judges"] != code_fingerprint(JUDGE_LAYERS):
        return True
    return row["model"] != REAL and code["generators"] != code_fingerprint(GENERATOR_LAYERS)


def _plain(value: Any) -> Any:
    """`value` as JSON holds it, floats to six significant digits."""
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float):
        return float(f"{value:.6g}")
    return value


def _named(sources: Sequence[str]) -> dict[str, str]:
    named = {Path(source).stem: str(source) for source in sources}
    if len(named) < len(sources):
        raise InputError("two flow tables have one name; rename a file, since results go by its name")
    return named


def _check_models(profile: Profile) -> None:
    """Models that do not exist are told before anything starts."""
    from hf_ntg.models.baselines import make_baseline
    from hf_ntg.training.config import MODEL_FAMILIES

    for name in (*profile.models, *profile.shot_models, *profile.budget_models):
        if name in MODEL_FAMILIES:
            continue
        try:
            make_baseline(name)
        except InputError as error:
            raise InputError(f"{error}; learned ones are {', '.join(MODEL_FAMILIES)}") from error


def _write_plan(output: Path, planned: list[Run], profile: Profile, command: str) -> None:
    plan = {
        "command": command,
        "commit": commit(),
        "hf_ntg": hf_ntg.__version__,
        "profile": asdict(profile),
        "runs": [run.identity() for run in planned],
    }
    write_text(output / "plans" / f"{digest(plan['runs'])}.json", json.dumps(plan) + "\n")


class _Clock:
    """Tells how far a study is, and about how long the rest will take."""

    def __init__(self, waiting: list[Run]) -> None:
        self._waiting = waiting
        self._known: defaultdict[tuple, list[float]] = defaultdict(list)

    def tell(self, number: int, run: Run, seconds: float) -> str:
        for kind in _kinds(run):
            self._known[kind].append(seconds)
        left = sum(self._guess(run) for run in self._waiting[number:])
        rest = f"about {left / 3600:.1f} h left" if left > 5_400 else f"about {left / 60:.0f} min left"
        return f"[{number}/{len(self._waiting)}] {run}: {seconds:.1f} s; {rest}"

    def _guess(self, run: Run) -> float:
        """Mean of the finished runs that are most like it."""
        like = next((self._known[kind] for kind in _kinds(run) if kind in self._known), [0.0])
        return sum(like) / len(like)


def _kinds(run: Run) -> list[tuple]:
    """What `run` is like, the closest likeness first."""
    detail = tuple(value for _, value in run.detail)
    return [
        (run.axis, run.flows, run.by, run.model, detail),
        (run.axis, run.flows, run.model, detail),
        (run.axis, run.model, detail),
        (run.axis, run.model),
        (run.axis,),
        (),
    ]


@contextlib.contextmanager
def _threads(processes: int):
    """Each of several processes takes its share of the threads that one would take."""
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    threads = max(1, before // processes)
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(limits=threads):
            yield
    finally:
        torch.set_num_threads(before)
