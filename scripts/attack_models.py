"""Attack model folders, checkpoints, baselines, labels, publishing, output places and commands; print what held.

    python scripts/attack_models.py --attacks 600 --seed 0

An attack *holds* if it ends in one line that names the trouble, within the time, without running code from the folder
or leaving files behind; or if the changed model still loads and draws legal flows. Anything else has *failed*: a
traceback, a hang, flows out of range, code that ran.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from datasets import Dataset

sys.path.insert(0, str(Path(__file__).parent))
from attack_baselines import baseline_attack, save_baselines
from attack_commands import COMMANDS, place_words
from attack_files import FOREIGN, damaged_checkpoint, foreign, mutated_json, mutated_weights
from attack_labels import label_attack
from attack_publishing import publishing_attack
from attack_strange import strange_attack

from hf_ntg import FlowGenerator, InputError, TrainingConfig, cli, train
from hf_ntg.errors import Interrupted
from hf_ntg.flows import conform_flows, save_flows

FAMILIES = ("gpt2", "llama", "mamba", "unet")
KINDS = ("json", "weights", "foreign", "checkpoint", "command", "place", "baseline", "publishing", "label", "strange")
SECONDS = 10.0  # for one attack; those that are refused before anything is loaded take far less


@dataclass
class Setting:
    """What is attacked: a model of each family, an unfinished run, a flow table, and a file that must never appear."""

    folder: Path
    models: dict[str, Path]
    unfinished: Path
    table: Path
    canary: Path
    baselines: list[Path]


def main() -> None:
    """Run the attacks and exit 1 if one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attacks", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=KINDS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        setting = prepare(Path(scratch), small_flows())
        outcomes = attack(setting, options.attacks, options.seed, (options.only,) if options.only else KINDS)
    for kind in KINDS:
        tried = [failure for of, failure in outcomes if of == kind]
        if tried:
            failed = [failure for failure in tried if failure]
            print(f"{kind:<12} {len(tried):>5} tried {len(tried) - len(failed):>5} held {len(failed):>5} failed")
    failed = [failure for _, failure in outcomes if failure]
    print(f"{'all':<12} {len(outcomes):>5} tried {len(outcomes) - len(failed):>5} held {len(failed):>5} failed")
    for failure in failed:
        print(f"  {failure}")
    sys.exit(bool(failed))


def small_flows() -> Dataset:
    """Sixty flows of three classes, with headers and times."""
    rng = np.random.default_rng(0)
    rows = []
    for k in range(60):
        length = 2 + k % 4
        rows.append(
            {
                "label": ("web", "dns", "a chat & more")[k % 3],
                "payload_length": rng.integers(1, 1_400, length).tolist(),
                "direction": [1, *rng.choice([-1, 1], length - 1).tolist()],
                "inter_arrival_time": [0.0, *rng.exponential(0.1, length - 1).tolist()],
                "protocol": (6, 17, 6)[k % 3],
                "destination_port": (443, 53, 6667)[k % 3],
            }
        )
    return conform_flows(Dataset.from_list(rows), "small flows")


def prepare(folder: Path, flows: Dataset, models: dict[str, Path] | None = None) -> Setting:
    """Train what is attacked, with `models` for families that are trained already."""
    models = dict(models or {})
    settings = {"epochs": 1, "batch_size": 32, "max_packets": 5, "checkpoint_every": 1}
    for family in FAMILIES:
        if family not in models:
            models[family] = folder / family
            train(flows, TrainingConfig(model=family, output_dir=str(models[family]), **settings))
    unfinished = folder / "unfinished"
    with contextlib.suppress(Interrupted), interrupted_in_epoch(1):
        train(flows, TrainingConfig(output_dir=str(unfinished), **settings | {"epochs": 2}))
    table, baselines = save_flows(flows, folder / "flows.parquet"), save_baselines(flows, folder / "baselines")
    return Setting(folder, models, unfinished, table, folder / "code-ran", baselines)


@contextlib.contextmanager
def interrupted_in_epoch(number: int) -> Iterator[None]:
    """Training in this block is interrupted when it comes to the epoch `number`, counted from 0."""
    from hf_ntg.training import loop

    run_epoch = loop._run_epoch

    def stops(*given: object) -> float:
        if given[4] == number:
            raise KeyboardInterrupt
        return run_epoch(*given)  # type: ignore[arg-type] # the arguments are passed on as they are

    loop._run_epoch = stops  # type: ignore[assignment] # for the length of the block
    try:
        yield
    finally:
        loop._run_epoch = run_epoch


def attack(setting: Setting, number: int, seed: int, kinds: tuple[str, ...] = KINDS) -> list[tuple[str, str]]:
    """Try `number` attacks of `kinds` in turn; gives the kind of each, and what failed ("" where it held)."""
    outcomes = []
    turns: Counter[str] = Counter()
    for place in range(number):
        kind = kinds[place % len(kinds)]
        turn, rng = turns[kind], random.Random(f"{seed} {place}")
        turns[kind] += 1
        with tempfile.TemporaryDirectory(dir=setting.folder) as scratch:
            name, action = ATTACKS[kind](setting, Path(scratch), turn, rng)
            outcomes.append((kind, _outcome(f"{kind} {place} ({name})", action, setting)))
    return outcomes


def _outcome(name: str, action: Callable[[], str], setting: Setting) -> str:
    """Run one attack under a clock; says what failed."""
    started = time.monotonic()
    try:
        with _clock(SECONDS):
            failure = action()
    except InputError as error:
        failure = "more than one line" if "\n" in str(error) else ""
    except TimeoutError:
        failure = "did not end"
    except BaseException as error:  # noqa: BLE001 (an attack that raises anything else has succeeded)
        failure = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:120]}"
    if setting.canary.exists():
        setting.canary.unlink()
        failure = "code ran"
    return f"{name}: {failure} after {time.monotonic() - started:.1f} s" if failure else ""


@contextlib.contextmanager
def _clock(seconds: float) -> Iterator[None]:
    def ring(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def draws(folder: Path) -> str:
    """Load the model in `folder` and draw a few flows; says what is wrong with them."""
    flows = FlowGenerator.from_pretrained(folder).generate(6, seed=1)
    conform_flows(flows, "drawn")
    if "protocol" in flows.column_names and not all(-1 <= (number or 0) <= 255 for number in flows["protocol"]):
        return "a protocol that does not exist"
    times = (
        [time for row in flows["inter_arrival_time"] for time in row]
        if "inter_arrival_time" in flows.column_names
        else []
    )
    return "" if np.isfinite(times).all() else "a time that is not finite"


def _copied(setting: Setting, scratch: Path, turn: int) -> tuple[str, Path]:
    family = FAMILIES[turn % len(FAMILIES)]
    folder = scratch / "model"
    shutil.copytree(setting.models[family], folder)
    return family, folder


def _json_attack(setting: Setting, scratch: Path, turn: int, rng: random.Random) -> tuple[str, Callable[[], str]]:
    family, folder = _copied(setting, scratch, turn)
    path = rng.choice(sorted(path for path in folder.rglob("*.json") if not path.name.startswith("training_")))
    what = mutated_json(path, rng)
    return f"{family} {path.name} {what}", lambda: draws(folder)


def _weights_attack(setting: Setting, scratch: Path, turn: int, rng: random.Random) -> tuple[str, Callable[[], str]]:
    family, folder = _copied(setting, scratch, turn)
    path = next(folder.rglob("*.safetensors"))
    other = next(setting.models[rng.choice([name for name in FAMILIES if name != family])].rglob("*.safetensors"))
    return f"{family} {mutated_weights(path, other, rng)}", lambda: _refused(lambda: draws(folder))


def _foreign_attack(setting: Setting, scratch: Path, turn: int, rng: random.Random) -> tuple[str, Callable[[], str]]:
    family, folder = _copied(setting, scratch, turn // len(FOREIGN))
    what = foreign(folder, FOREIGN[turn % len(FOREIGN)], setting.canary)
    here = Path.cwd()

    def draws_here() -> str:
        os.chdir(folder)  # modules of the working directory must not run either
        sys.path.insert(0, str(folder))
        try:
            return draws(folder)
        finally:
            sys.path.remove(str(folder))
            os.chdir(here)

    return f"{family} {what}", draws_here


def _checkpoint_attack(setting: Setting, scratch: Path, turn: int, rng: random.Random) -> tuple[str, Callable[[], str]]:
    folder = scratch / "run"
    shutil.copytree(setting.unfinished, folder)
    what = damaged_checkpoint(folder / "checkpoints", turn, rng, setting.canary)
    words = ["train", setting.table, "--output", folder, "--epochs", 2, "--batch-size", 32, "--max-packets", 5]
    return what, lambda: _command([*words, "--checkpoint-every", 1], None)


def _command_attack(setting: Setting, scratch: Path, turn: int, rng: random.Random) -> tuple[str, Callable[[], str]]:
    words = COMMANDS[turn % len(COMMANDS)]
    places = {
        "TABLE": setting.table,
        "MODEL": setting.models["gpt2"],
        "UNET": setting.models["unet"],
        "OUT": scratch / "o",
    }
    filled = [str(places.get(word, word)) for word in words.split()]
    return words, lambda: _command([word.replace("OUT", str(scratch / "o")) for word in filled], 2)


def _place_attack(setting: Setting, scratch: Path, turn: int, rng: random.Random) -> tuple[str, Callable[[], str]]:
    what, words = place_words(scratch, turn, setting.table, setting.models["gpt2"])
    return what, lambda: _command(words, 2)


def _refused(action: Callable[[], str]) -> str:
    action()
    return "was not refused"


def _command(words: list, wanted: int | None) -> str:
    """Run a command line in this process; says what is wrong with how it ended."""
    out, said, before = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["ntg", *map(str, words)]
    status: int | str | None = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
            cli.main()
    except SystemExit as stopped:
        status = stopped.code
    finally:
        sys.argv = before
    lines = [line for line in said.getvalue().splitlines() if line.startswith("ntg: ")]
    if status not in ((0, 2) if wanted is None else (wanted,)):
        return f"exit {status}"
    if "Traceback" in said.getvalue() or (status == 2 and len(lines) != 1):
        return f"{len(lines)} lines: {said.getvalue()[-200:]}"
    return ""


ATTACKS = {
    "json": _json_attack,
    "weights": _weights_attack,
    "foreign": _foreign_attack,
    "checkpoint": _checkpoint_attack,
    "command": _command_attack,
    "place": _place_attack,
    "baseline": baseline_attack,
    "publishing": publishing_attack,
    "label": label_attack,
    "strange": strange_attack,
}

if __name__ == "__main__":
    main()
