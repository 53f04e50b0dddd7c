"""The attacks of scripts/attack_models.py on model folders and checkpoints: damaged and foreign files."""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path
from typing import Any

from attack_values import VALUES

__all__ = [
    "FOREIGN",
    "damaged_checkpoint",
    "foreign",
    "mutated_json",
    "mutated_weights",
]

_EXTRA = {
    "auto_map": {"AutoConfig": "evil.Evil", "AutoModelForCausalLM": "evil.Evil", "AutoTokenizer": "evil.Evil"},
    "quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True},
    "custom_pipelines": {"x": {"impl": "evil.Evil"}},
    "_attn_implementation": "evil/kernel",
    "attn_implementation": "evil/kernel",
    "trust_remote_code": True,
    "n_ctx_": 5,
}
_TEXTS = (b"", b"{", b"[]", b"null", b"5", b"{}", b"\xff\xfe", b"[" * 200_000, b'{"a": 1, "a": 2}', b"9" * 5_000)

FOREIGN = (
    "module in model_index.json",
    "pipeline module in model_index.json",
    "auto_map",
    "evil.py in the folder",
    "index of weights elsewhere",
    "adapter",
    "pickled weights in place of safetensors",
    "weights are a link to another file",
    "two models",
    "scheduler of another kind",
    "tokenizer class",
    "activation",
    "config.json is a folder",
    "no weights",
    "a training was killed while it placed the model",
    "sitecustomize",
)


_WEIGHT_WAYS = (
    "cut", "longer", "nan", "inf", "family", "gone", "renamed", "shape", "type", "huge", "overlap", "header", "length",
    "empty", "deep", "offset",
)  # fmt: skip
_CHECKPOINT_WAYS = (
    "pickles of an older version", "cut", "flipped", "state", "state value", "tensor gone", "other epoch", "run",
    "run value", "a pickle", "state is deep", "no metadata",
)  # fmt: skip


def mutated_json(path: Path, rng: random.Random) -> str:
    """Damage one JSON file: another value somewhere, a key gone, a foreign key, or no JSON at all; says what."""
    if rng.random() < 0.08:
        text = rng.choice(_TEXTS)
        path.write_bytes(text)
        return f"is {text[:20]!r}"
    found = json.loads(path.read_text(encoding="utf-8"))
    name = rng.choice(sorted(found))
    roll = rng.random()
    if roll < 0.15:
        del found[name]
        what = f"without {name}"
    elif roll < 0.25:
        extra = rng.choice(sorted(_EXTRA))
        found[extra] = _EXTRA[extra]
        what = f"with {extra}"
    elif roll < 0.55 and isinstance(found[name], list | dict) and found[name]:
        what = f"{name}{_mutated_inside(found[name], rng)}"
    elif roll < 0.65 and isinstance(found[name], list) and found[name]:
        found[name] = found[name][:-1] if rng.random() < 0.5 else found[name] * 2
        what = f"{name} has {len(found[name])} entries"
    else:
        found[name] = rng.choice(VALUES)
        what = f"{name} is {ascii(found[name])[:30]}"
    path.write_text(json.dumps(found), encoding="utf-8")
    return what


def _mutated_inside(value: Any, rng: random.Random) -> str:
    where = ""
    while True:
        key = rng.choice(sorted(value)) if isinstance(value, dict) else rng.randrange(len(value))
        where += f"[{ascii(key)[:20]}]"
        if isinstance(value[key], list | dict) and value[key] and rng.random() < 0.8:
            value = value[key]
            continue
        value[key] = rng.choice(VALUES)
        return f"{where} is {ascii(value[key])[:30]}"


def mutated_weights(path: Path, other: Path, rng: random.Random) -> str:
    """Damage a safetensors file so that it is certainly wrong; says how."""
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header, body = json.loads(data[8 : 8 + length]), bytearray(data[8 + length :])
    names = sorted(name for name in header if name != "__metadata__")
    name, way = rng.choice(names), rng.choice(_WEIGHT_WAYS)
    entry = header[name]
    if way == "cut":
        path.write_bytes(data[: rng.randrange(len(data))])
    elif way == "longer":
        path.write_bytes(data + b"\0" * rng.randrange(1, 100))
    elif way in ("nan", "inf"):
        place = entry["data_offsets"][0]
        body[place : place + 4] = struct.pack("<f", float(way))
        _write(path, header, body)
    elif way == "family":
        path.write_bytes(other.read_bytes())
    elif way == "gone":
        del header[name]
        _write(path, header, body)
    elif way == "renamed":
        header[f"{name}.evil"] = header.pop(name)
        _write(path, header, body)
    elif way == "shape":
        entry["shape"] = [*entry["shape"], 1]
        _write(path, header, body)
    elif way == "type":
        entry["dtype"] = rng.choice(["F64", "I32", "evil", 5, None])
        _write(path, header, body)
    elif way == "huge":
        entry["shape"] = [10**9] * len(entry["shape"])
        entry["data_offsets"] = [0, 4 * 10 ** (9 * len(entry["shape"]))]
        _write(path, header, body)
    elif way in ("overlap", "offset"):
        first, last = entry["data_offsets"]
        move = 4 if way == "overlap" else -(10**12)
        entry["data_offsets"] = [first + move, last + move]
        _write(path, header, body)
    elif way == "header":
        path.write_bytes(data[:8] + b"\0" * length + bytes(body))
    elif way == "length":
        path.write_bytes(struct.pack("<Q", rng.choice([0, 1, 2**40, 2**63, 2**64 - 1])) + data[8:])
    elif way == "empty":
        path.write_bytes(b"")
    else:
        text = b"[" * 100_000
        path.write_bytes(struct.pack("<Q", len(text)) + text)
    return f"weights {way}"


def _write(path: Path, header: dict, body: bytes | bytearray) -> None:
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(body))


def _code(canary: Path) -> str:
    return f"open({str(canary)!r}, 'w').close()\nclass Evil:\n    from_pretrained = lambda *a, **b: Evil()\n"


def _pickle(canary: Path) -> bytes:
    """A pickle that makes the file `canary` when it is read."""
    return b"cbuiltins\nopen\n(V" + str(canary).encode() + b"\nVw\ntR."


def foreign(folder: Path, way: str, canary: Path) -> str:
    """Put something that no training writes into a model folder; says what."""
    main = folder / ("model_index.json" if (folder / "model_index.json").exists() else "config.json")
    weights = next(folder.rglob("*.safetensors"))
    found = json.loads(main.read_text())
    (folder / "evil.py").write_text(_code(canary))
    if way == "module in model_index.json":
        found["unet" if "unet" in found else "model"] = ["evil", "Evil"]
        (folder / "unet").mkdir(exist_ok=True)
        (folder / "unet" / "evil.py").write_text(_code(canary))
    elif way == "pipeline module in model_index.json":
        found["_class_name"] = ["evil", "Evil"]
    elif way == "auto_map":
        found |= _EXTRA["auto_map"] and {"auto_map": _EXTRA["auto_map"], "architectures": ["Evil"]}
    elif way == "index of weights elsewhere":
        index = {"metadata": {}, "weight_map": {"transformer.wte.weight": "../../../elsewhere.safetensors"}}
        weights.with_name(f"{weights.name}.index.json").write_text(json.dumps(index))
    elif way == "adapter":
        (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "../evil"}')
    elif way == "pickled weights in place of safetensors":
        weights.unlink()
        for name in ("pytorch_model.bin", "diffusion_pytorch_model.bin", "model.pt"):
            weights.with_name(name).write_bytes(_pickle(canary))
    elif way == "weights are a link to another file":
        weights.unlink()
        weights.symlink_to("/etc/passwd")
    elif way == "two models":
        (folder / ("flow_grammar.json" if main.name == "model_index.json" else "model_index.json")).write_text("{}")
    elif way == "scheduler of another kind":
        for path in folder.glob("scheduler/*.json"):
            path.write_text(path.read_text().replace("DPMSolverMultistepScheduler", "evil.Evil"))
        found["scheduler"] = ["evil", "Evil"]
    elif way == "tokenizer class":
        for path in folder.rglob("*config.json"):
            settings = json.loads(path.read_text())
            path.write_text(json.dumps(settings | {"tokenizer_class": "EvilTokenizer", "processor_class": "Evil"}))
        found["tokenizer_class"] = "EvilTokenizer"
    elif way == "activation":
        for path in folder.rglob("config.json"):
            settings = json.loads(path.read_text())
            settings |= {name: "evil" for name in ("activation_function", "hidden_act", "act_fn") if name in settings}
            path.write_text(json.dumps(settings))
            found = json.loads(main.read_text())
    elif way == "config.json is a folder":
        main.unlink()
        main.mkdir()
        return way
    elif way == "no weights":
        weights.unlink()
    elif way == "a training was killed while it placed the model":
        (folder / "checkpoints").mkdir()
        (folder / "checkpoints" / "placing.json").write_text("[]")
    elif way == "sitecustomize":
        for name in ("sitecustomize.py", "transformers_modules.py", "modeling_flow.py", "tokenization_flow.py"):
            (folder / name).write_text(_code(canary))
    main.write_text(json.dumps(found))
    return way


def damaged_checkpoint(folder: Path, turn: int, rng: random.Random, canary: Path) -> str:
    """Damage the checkpoints of an unfinished run; says how."""
    path = folder / "epoch-1.safetensors"
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    way = _CHECKPOINT_WAYS[turn % len(_CHECKPOINT_WAYS)]
    if way == "pickles of an older version":
        old = folder / "epoch-2"
        old.mkdir()
        for name in ("custom_checkpoint_0.pkl", "optimizer.bin", "scheduler.bin", "random_states_0.pkl"):
            (old / name).write_bytes(_pickle(canary))
    elif way == "cut":
        path.write_bytes(data[: rng.randrange(len(data))])
    elif way == "flipped":
        flipped = bytearray(data)
        flipped[rng.randrange(min(len(data), 8 + length))] ^= 1 << rng.randrange(8)
        path.write_bytes(flipped)
    elif way in ("state", "state is deep"):
        text = "[" * 50_000 if way == "state is deep" else rng.choice(["", "{}", "[]", "null", '{"names": {}}', "NaN"])
        _write(path, header | {"__metadata__": {"hf_ntg.state": text}}, data[8 + length :])
    elif way == "state value":
        state = json.loads(header["__metadata__"]["hf_ntg.state"])
        way += _mutated_inside(state, rng)
        _write(path, header | {"__metadata__": {"hf_ntg.state": json.dumps(state)}}, data[8 + length :])
    elif way == "tensor gone":
        name = rng.choice(sorted(name for name in header if name != "__metadata__"))
        header.pop(name)
        _write(path, header, data[8 + length :])
    elif way == "other epoch":
        path.rename(folder / f"epoch-{rng.choice([0, 5, 10**9, 10**30])}.safetensors")
    elif way == "run":
        (folder / "run.json").write_bytes(rng.choice(_TEXTS))
    elif way == "run value":
        run = json.loads((folder / "run.json").read_text())
        way += _mutated_inside(run, rng)
        (folder / "run.json").write_text(json.dumps(run))
    elif way == "a pickle":
        path.write_bytes(_pickle(canary))
    else:
        header.pop("__metadata__")
        _write(path, header, data[8 + length :])
    return way
