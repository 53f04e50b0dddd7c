"""Running a study: planning, resuming, progress."""

from __future__ import annotations

import contextlib
import json
import os
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hf_ntg
from hf_ntg.errors import InputError
from hf_ntg.files import write_text
from hf_ntg.launch import launched_share
from hf_ntg.study.plan import AXES, FINE_TUNED, REAL, SPLIT_SEED, Profile, Run, plan_runs, privacy_model, shard_of
from hf_ntg.study.store import GENERATOR_LAYERS, JUDGE_LAYERS, ResultStore, code_fingerprint, commit, digest
from hf_ntg.training.config import MODEL_FAMILIES, PRIVATE_FAMILIES

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
    """Carry out the unfinished runs of a study, and save each in `output` when it ends.

    A killed study continues with the run that was interrupted, and its training with the last checkpoint. Several
    processes, on one or more machines that share `output`, each do a shard. A failed run is reported and skipped,
    together with all other runs of its generator.

    Args:
        sources: flow tables, as for :func:`hf_ntg.load_flows`.
        shard: index of this process, and number of processes.
        redo_stale: repeat the runs that were made by other code of the same version. Otherwise they are kept and
            counted.
        command: the command line, to be kept with the results.
        say: called with a line for every step.

    Returns:
        The runs that failed.

    Raises:
        InputError: a flow table, model, split or axis does not exist, or two tables have the same name.
    """
    from hf_ntg.study.axes.bench import Workbench

    named = _named(sources)
    _check_names(profile)
    if "privacy" in axes and find_spec("opacus") is None:
        say("no private training: it needs Opacus, which is not installed; pip install 'hf-ntg[private]'")
        counted = tuple(name for name in profile.privacy_models if privacy_model(name)[0] not in PRIVATE_FAMILIES)
        profile = replace(profile, privacy_models=counted)
    planned = plan_runs(profile, list(named), axes)
    mine = shard_of(planned, *shard)
    bench = Workbench(output, named, profile, worker=f"{shard[0]}of{shard[1]}", redo_stale=redo_stale)
    for name in named:  # fail before hours of work
        for by in profile.by:
            bench.split(name, by, SPLIT_SEED)
    _write_plan(output, planned, profile, command)
    store = ResultStore(output)
    found = {run: store.find(run, bench.settings_of(run)) for run in mine}
    stale = {run for run, row in found.items() if row is not None and _is_stale(row)}
    waiting = [run for run, row in found.items() if row is None or (redo_stale and run in stale)]
    say(f"{len(planned)} runs planned, {len(mine)} for this process, {len(mine) - len(waiting)} of them done")
    if stale:
        what = "repeated" if redo_stale else "kept; --redo-stale repeats them"
        say(f"{len(stale)} finished runs were made by other code ({what})")
    if "augmentation" in axes and len(named) == 1:
        say(f"no {FINE_TUNED} generators: they are first trained on a second flow table; give one")
    with _threads(shard[1]):
        return _work(waiting, bench, store, say)


def _work(waiting: list[Run], bench: Workbench, store: ResultStore, say: Callable[[str], None]) -> list[Run]:
    """Do the waiting runs one after another, and return those that failed."""
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
        store.keep(run, bench.settings_of(run), row)
        say(clock.report(number, run, row["made"]["seconds"]))
    return failed


def read_plans(output: Path) -> list[dict]:
    """The plans kept in `output`, one for each command: ``command``, ``runs``, ``profile`` and more."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(output.glob("plans/*.json"))]


def shard_of_environment() -> tuple[int, int]:
    """The shard of this process under a launcher (``accelerate launch``, ``torchrun``). Its variables are removed.

    With the variables set, every training of the study would wait for the other processes to train one model together.
    """
    share = launched_share()
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        os.environ.pop(name, None)
    return share


def _do(run: Run, bench: Workbench, judge: Callable[[Run, Workbench], dict]) -> dict:
    """Carry out one run, and return its line of the results."""
    from hf_ntg.study.axes.bench import device_name

    started, cpu = time.perf_counter(), time.process_time()
    found = judge(run, bench)
    made = {
        "hf_ntg": hf_ntg.__version__,
        "commit": commit(),
        "device": device_name(),
        "code": {"generators": bench.code_of(run), "judges": code_fingerprint(JUDGE_LAYERS)},
        "settings": digest(bench.settings_of(run)),
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
    """`value` with types that JSON can hold, and floats rounded to six significant digits."""
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
        raise InputError("two flow tables have the same name; rename a file, since results are named by it")
    return named


def _check_names(profile: Profile) -> None:
    """Check that all models, classifiers and transformations of `profile` exist."""
    from hf_ntg.augmentation.methods import check_method
    from hf_ntg.models.baselines import make_baseline
    from hf_ntg.study.axes.classifiers import check_classifier

    for name in (*profile.classifiers, *profile.shot_classifiers):
        check_classifier(name)
    for name in set(profile.shot_methods) - {"auto"}:
        check_method(name)
    private = [privacy_model(name)[0] for name in profile.privacy_models]
    for name in (*profile.models, *profile.shot_models, *profile.budget_models, *private):
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
    """Progress of a study, with an estimate of the time left."""

    def __init__(self, waiting: list[Run]) -> None:
        self._waiting = waiting
        self._known: defaultdict[tuple, list[float]] = defaultdict(list)

    def report(self, number: int, run: Run, seconds: float) -> str:
        for kind in _kinds(run):
            self._known[kind].append(seconds)
        left = sum(self._guess(run) for run in self._waiting[number:])
        rest = f"about {left / 3600:.1f} h left" if left > 5_400 else f"about {left / 60:.0f} min left"
        return f"[{number}/{len(self._waiting)}] {run}: {seconds:.1f} s; {rest}"

    def _guess(self, run: Run) -> float:
        """Expected seconds of `run`: the mean of the finished runs of the most similar kind."""
        seconds = next((self._known[kind] for kind in _kinds(run) if kind in self._known), [0.0])
        return sum(seconds) / len(seconds)


def _kinds(run: Run) -> list[tuple]:
    """Keys of runs that are similar to `run`, the most specific first."""
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
def _threads(processes: int) -> Iterator[None]:
    """Divide the threads that one process would use among `processes`."""
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
