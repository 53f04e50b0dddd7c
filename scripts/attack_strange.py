"""Attacks by strange but well-formed files and requests: foreign settings, odd types, pipes, edited runs, terminals."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import shutil
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from hf_ntg import FlowGenerator, InputError, cli
from hf_ntg.flows import conform_flows, save_flows

__all__ = ["strange_attack"]

_FIELDS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("gpt2", "config.json", {
        "quantization_config": {"quant_method": "gptq", "bits": 4}, "pruned_heads": {"0": [0]}, "n_layer": True,
        "tie_word_embeddings": 1, "n_head": 2.0, "_name_or_path": "http://evil/x", "dtype": "bfloat16",
        "rope_scaling": {"rope_type": "yarn"}, "architectures": "GPT2LMHeadModel", "num_labels": 10**9,
    }),
    ("gpt2", "generation_config.json", {
        "custom_generate": "evil/x", "assistant_model": "evil", "max_length": True, "temperature": float("nan"),
        "pad_token_id": 0.0, "eos_token_id": [1, 2], "compile_config": {"backend": "evil"},
    }),
    ("mamba", "tokenizer_config.json", {
        "auto_map": {"AutoTokenizer": ["evil.E", None]}, "chat_template": "{{ ''.__class__ }}", "backend": "python",
        "vocab_file": "/etc/passwd", "added_tokens_decoder": {"0": {"content": "x"}}, "model_max_length": 10**400,
    }),
    ("gpt2", "tokenizer.json", {
        "normalizer": {"type": "Replace", "pattern": {"Regex": "(a+)+$"}, "content": "x"}, "version": "2.0",
        "padding": {"strategy": {"Fixed": 10**12}}, "decoder": {"type": "ByteLevel"},
    }),
    ("unet", "model_index.json", {
        "vae": ["diffusers", "AutoencoderKL"], "unet": ["diffusers_modules", "UNet1DModel"], "_module": "evil.py",
        "num_inference_steps": True, "custom_revision": "x",
    }),
    ("unet", "processor/preprocessor_config.json", {"windows": 1, "max_packets": 5.0, "auto_map": {"A": "e.E"}}),
    ("unet", "unet/config.json", {"norm_num_groups": True, "layers_per_block": False, "sample_size": 3.0}),
)  # fmt: skip
_SCHEDULER = {
    "use_karras_sigmas": 1, "trained_betas": [0.1], "solver_order": True, "thresholding": True, "sigma_min": -1,
    "steps_offset": 10**5, "rescale_betas_zero_snr": True, "variance_type": "learned", "custom_pipeline": "evil",
}  # fmt: skip
_LABELS = ("\x1b[31mred", "\x9b31m", "\u202eevil", "a\rb", "{0.__class__}", "%s%n", "a\u2028b", "\x07")
_REQUESTS: tuple[dict[str, Any], ...] = (
    {"num_flows": True}, {"num_flows": 5.0}, {"num_flows": "5"}, {"num_flows": float("nan")}, {"num_flows": 10**30},
    {"num_flows": 2, "label": ["web"]}, {"label": {"web": float("nan")}}, {"label": {"web": True}},
    {"label": {"web": 10**30}}, {"num_flows": 2, "seed": 1.5}, {"num_flows": 2, "seed": 2**70},
    {"num_flows": 2, "temperature": "1"}, {"num_flows": 2, "num_proc": True}, {"num_flows": 10**5_000},
)  # fmt: skip
_Edit = Callable[[dict[str, Any]], object]
_STATES: dict[str, _Edit] = {
    "losses that are NaN": lambda state: state["history"][0]["names"].update(loss=float("nan")),
    "losses that are text": lambda state: state["history"][0]["names"].update(loss="x"),
    "a step of the schedule that is text": lambda state: state["schedule"]["names"].update(last_epoch="x"),
    "no such tensor": lambda state: state.update(module={"$tensor": "nope"}),
    "a tensor named by a list": lambda state: state.update(module={"$tensor": [1]}),
    "best weights that are a list": lambda state: state.update(best_weights=[1]),
}
_RUNS: dict[str, Callable[[Path], object]] = {
    "a checkpoint that is a pipe": lambda work: os.mkfifo(work / "epoch-5.safetensors"),
    "a checkpoint that is a folder": lambda work: (work / "epoch-5.safetensors").mkdir(),
    "an epoch in other digits": lambda work: (work / "epoch-1.safetensors").rename(work / "epoch-\u0661.safetensors"),
    "names that lead upwards": lambda work: (work / "placing.json").write_text('["../../x"]'),
    "a file in the place of the new model": lambda work: (work / "model.part").touch(),
    "a setting that steers the terminal": lambda work: _edit(
        work / "run.json", lambda run: run["settings"].update({"\x1b]0;x\x07": 1})
    ),
}
_FILES = (
    "config.json is a pipe", "weights are /dev/zero", "weights are the memory of this process", "adapter weights",
    "a pipe among the files", "replaced after the check", "cut after the check", "gone after the check",
    "a stale scratch file that is a pipe", "split into its own folder", "checkpoints are a link",
)  # fmt: skip


def strange_attack(setting: Any, scratch: Path, turn: int, rng: random.Random) -> tuple[str, Callable[[], str]]:
    """One of the attacks of this file, in turn."""
    fields = [(family, file, name, values[name]) for family, file, values in _FIELDS for name in values]
    kinds: list[list[tuple[str, Callable[[], str]]]] = [
        [(f"{file} {name} {ascii(value)[:30]}", lambda a=(family, file, name, value): _field(setting, scratch, *a))
         for family, file, name, value in fields],
        [(what, lambda what=what: _file(setting, scratch, what)) for what in _FILES],
        [(f"scheduler {name}", lambda name=name: _scheduler(setting, scratch, name)) for name in _SCHEDULER],
        [(f"label {label!a}", lambda label=label: _terminal(scratch, label)) for label in _LABELS],
        [(f"request {ascii(list(one.items()))[:40]}" if 10**5_000 not in one.values() else "request of 5,000 digits",
          lambda one=one: _request(setting, one)) for one in _REQUESTS],
        [(what, lambda what=what: _resumed(setting, scratch, what)) for what in (*_STATES, *_RUNS)],
    ]  # fmt: skip
    kind = kinds[turn % len(kinds)]
    return kind[(turn // len(kinds)) % len(kind)]


def _field(setting: Any, scratch: Path, family: str, file: str, name: str, value: Any) -> str:
    folder = _copied(setting, scratch, family)
    _edit(folder / file, lambda found: found.update({name: value}))
    return _refused(folder)


def _scheduler(setting: Any, scratch: Path, name: str) -> str:
    folder = _copied(setting, scratch, "unet")
    _edit(folder / "scheduler" / "scheduler_config.json", lambda found: found.update({name: _SCHEDULER[name]}))
    FlowGenerator.from_pretrained(folder).generate(3, seed=1)
    return ""


def _request(setting: Any, asked: dict[str, Any]) -> str:
    FlowGenerator.from_pretrained(setting.models["gpt2"]).generate(**asked)
    return "was not refused"


def _file(setting: Any, scratch: Path, what: str) -> str:
    if what.startswith("a stale"):
        os.mkfifo(scratch / ".o.parquet.x.part")
        save_flows(_flows("web"), scratch / "o.parquet")
        return ""
    if what.startswith("split"):
        table = save_flows(_flows("web"), scratch / "train.parquet")
        before = table.read_bytes()
        failure = _command(["split", table, "--output", scratch], 2)
        return failure or ("" if table.read_bytes() == before else "the input is lost")
    if what == "checkpoints are a link":
        for name in ("m", "elsewhere"):
            (scratch / name).mkdir()
        (scratch / "elsewhere" / "kept").touch()
        (scratch / "m" / "checkpoints").symlink_to(scratch / "elsewhere")
        failure = _command(["train", setting.table, "--output", scratch / "m", "--epochs", 1], 2)
        return failure or ("" if (scratch / "elsewhere" / "kept").exists() else "a foreign file is lost")
    folder = _copied(setting, scratch, "gpt2")
    config, weights = folder / "config.json", folder / "model.safetensors"
    if what == "a pipe among the files":
        os.mkfifo(folder / "special_tokens_map.json")
        FlowGenerator.from_pretrained(folder).generate(3, seed=1)
        return ""
    if what.endswith("after the check"):
        changes: dict[str, Callable[[], object]] = {
            "replaced": lambda: _edit(config, lambda found: found.update(model_type="evil", auto_map={"A": "evil.E"})),
            "cut": lambda: weights.write_bytes(weights.read_bytes()[:-1_000]),
            "gone": lambda: shutil.rmtree(folder),
        }
        return _changed_after_check(folder, changes[what.split()[0]])
    if what == "adapter weights":
        (folder / "adapter_config.json").write_text("{}")
    elif what == "config.json is a pipe":
        config.unlink()
        os.mkfifo(config)
    else:
        weights.unlink()
        weights.symlink_to("/dev/zero" if "zero" in what else "/proc/self/mem")
    return _refused(folder)


def _changed_after_check(folder: Path, change: Callable[[], object]) -> str:
    """The folder changes between its check and the reading of its files."""
    from hf_ntg.generation import loading

    check = loading.check_model_folder

    def checked(path: Path) -> str:
        kind = check(path)
        change()
        return kind

    loading.check_model_folder = checked
    try:
        return _refused(folder)
    finally:
        loading.check_model_folder = check


def _resumed(setting: Any, scratch: Path, what: str) -> str:
    """An unfinished run whose checkpoint or files were edited goes on, or is refused in one line."""
    folder = scratch / "run"
    shutil.copytree(setting.unfinished, folder)
    if what in _RUNS:
        _RUNS[what](folder / "checkpoints")
    else:
        path = folder / "checkpoints" / "epoch-1.safetensors"
        data = path.read_bytes()
        length = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8 : 8 + length])
        state = json.loads(header["__metadata__"]["hf_ntg.state"])
        _STATES[what](state["names"])
        text = json.dumps(header | {"__metadata__": {"hf_ntg.state": json.dumps(state)}}).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])
    words = ["train", setting.table, "--output", folder, "--epochs", 2, "--batch-size", 32, "--max-packets", 5]
    return _command([*words, "--checkpoint-every", 1], None)


def _terminal(scratch: Path, label: str) -> str:
    """Nothing that a command prints steers the terminal, and its JSON holds the label exactly."""
    table = save_flows(_flows(label), scratch / "t.parquet")
    for command in ("import", "split"):
        output = scratch / ("o.parquet" if command == "import" else "parts")
        failure = _command([command, table, "--output", output], 0)
        if failure:
            return failure
    return _command(["split", scratch / f"{label}.parquet", "--output", scratch / "parts"], 2)


def _flows(label: str) -> Any:
    flow = {"payload_length": [100, 200], "direction": [1, -1], "inter_arrival_time": [0.0, 0.1], "protocol": 6}
    return conform_flows(pd.DataFrame([flow | {"label": name} for name in (label, "other") * 5]), "made")


def _command(words: list, wanted: int | None) -> str:
    out, said, before, status = io.StringIO(), io.StringIO(), sys.argv, 0
    sys.argv = ["ntg", *map(str, words)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
            cli.main()
    except SystemExit as stopped:
        status = int(stopped.code or 0)
    finally:
        sys.argv = before
    text = out.getvalue() + said.getvalue()
    steering = [letter for letter in text if not letter.isprintable() and letter not in "\n\t\r"]
    if steering:
        return f"{steering[0]!a} on the terminal"
    lines = [line for line in said.getvalue().splitlines() if line.startswith("ntg: ") and "warning" not in line]
    if status not in ((0, 2) if wanted is None else (wanted,)) or "Traceback" in text:
        return f"exit {status}: {text[-100:]}"
    return "" if status != 2 or len(lines) == 1 else f"{len(lines)} lines"


def _copied(setting: Any, scratch: Path, family: str) -> Path:
    return Path(shutil.copytree(setting.models[family], scratch / "model"))


def _edit(path: Path, change: _Edit) -> None:
    found = json.loads(path.read_text(encoding="utf-8"))
    change(found)
    path.write_text(json.dumps(found), encoding="utf-8")


def _refused(folder: Path) -> str:
    try:
        FlowGenerator.from_pretrained(folder).generate(3, seed=1)
    except InputError as error:
        return "more than one line" if "\n" in str(error) else ""
    return "was not refused"
