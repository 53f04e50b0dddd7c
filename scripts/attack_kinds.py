"""The attacks of scripts/attack_models.py: damaged JSON, weights and checkpoints, foreign files, bad command lines."""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path
from typing import Any

__all__ = [
    "COMMANDS",
    "FOREIGN",
    "damaged_checkpoint",
    "foreign",
    "mutated_json",
    "mutated_weights",
    "place_words",
]

_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 10**6, 10**9, 10**10, 2**63, -(2**63), 10**400, 0.5, -0.5, 1e-300, 1e308,
    float("nan"), float("inf"), float("-inf"), "", "a", "evil", "../../x", "\ud800", "\0", "x" * 10_000, [], {}, [[]],
    [None], [0], [1, 1], [float("nan")], ["evil", "Evil"], {"a": 1}, [10**9] * 3,
)  # fmt: skip
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
        found[name] = rng.choice(_VALUES)
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
        value[key] = rng.choice(_VALUES)
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
            told = json.loads(path.read_text())
            path.write_text(json.dumps(told | {"tokenizer_class": "EvilTokenizer", "processor_class": "Evil"}))
        found["tokenizer_class"] = "EvilTokenizer"
    elif way == "activation":
        for path in folder.rglob("config.json"):
            told = json.loads(path.read_text())
            told |= {name: "evil" for name in ("activation_function", "hidden_act", "act_fn") if name in told}
            path.write_text(json.dumps(told))
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


COMMANDS = (
    "train TABLE --output OUT --learning-rate nan",
    "train TABLE --output OUT --learning-rate inf",
    "train TABLE --output OUT --learning-rate -1",
    "train TABLE --output OUT --learning-rate 0",
    "train TABLE --output OUT --learning-rate 1e999",
    "train TABLE --output OUT --epochs 0",
    "train TABLE --output OUT --epochs 1.5",
    "train TABLE --output OUT --epochs 99999999999999999999999",
    "train TABLE --output OUT --batch-size 0",
    "train TABLE --output OUT --batch-size -5",
    "train TABLE --output OUT --max-packets 1000000000",
    "train TABLE --output OUT --max-packets 0",
    "train TABLE --output OUT --dropout 1",
    "train TABLE --output OUT --dropout nan",
    "train TABLE --output OUT --weight-decay inf",
    "train TABLE --output OUT --validation-share 1",
    "train TABLE --output OUT --validation-share nan",
    "train TABLE --output OUT --max-steps 0",
    "train TABLE --output OUT --max-grad-norm 0",
    "train TABLE --output OUT --seed -1",
    "train TABLE --output OUT --seed 4294967296",
    "train TABLE --output OUT --seed x",
    "train TABLE --output OUT --model rnn",
    "train TABLE --output OUT --keep worst",
    "train TABLE --output OUT --keep best",
    "train TABLE --output OUT --mixed-precision int4",
    "train TABLE --output OUT --tracker evil",
    "train TABLE --output OUT --initial-model /no/such/folder",
    "train TABLE --output OUT --initial-model UNET",
    "train TABLE --output OUT --model unet --initial-model UNET",
    "train TABLE --output OUT --no-such-option",
    "train TABLE --output MODEL --epochs 3",
    "train TABLE",
    "train /no/such/table.parquet --output OUT",
    "generate MODEL --output OUT.parquet",
    "generate MODEL --output OUT.parquet --num-flows -1",
    "generate MODEL --output OUT.parquet --num-flows nan",
    "generate MODEL --output OUT.parquet --num-flows 1e3",
    "generate MODEL --output OUT.txt --num-flows 5",
    "generate MODEL --output OUT.parquet --num-flows 5 --temperature 0",
    "generate MODEL --output OUT.parquet --num-flows 5 --temperature nan",
    "generate MODEL --output OUT.parquet --num-flows 5 --temperature -inf",
    "generate MODEL --output OUT.parquet --num-flows 5 --steps 5",
    "generate UNET --output OUT.parquet --num-flows 5 --steps 0",
    "generate UNET --output OUT.parquet --num-flows 5 --steps 1000000000",
    "generate UNET --output OUT.parquet --num-flows 5 --temperature 1",
    "generate UNET --output OUT.parquet --num-flows 5 --scheduler evil",
    "generate MODEL --output OUT.parquet --num-flows 5 --label nobody",
    "generate MODEL --output OUT.parquet --num-flows 5 --like TABLE",
    "generate MODEL --output OUT.parquet --like /no/such.parquet",
    "generate MODEL --output OUT.parquet --num-flows 5 --seed -1",
    "generate MODEL --output OUT.parquet --num-flows 5 --num-proc 0",
    "generate MODEL --output OUT.parquet --num-flows 5 --num-proc 1000000",
    "generate MODEL --output OUT.parquet --num-flows 5 --device cuda:99",
    "generate MODEL --output OUT.parquet --num-flows 5 --device evil",
    "generate MODEL --output OUT --num-flows 5 --num-shards 0",
    "generate MODEL --output OUT --num-flows 5 --num-shards 2 --shard 2/2",
    "generate MODEL --output OUT --num-flows 5 --num-shards 2 --shard -1/2",
    "generate MODEL --output OUT --num-flows 5 --num-shards 2 --steps 3",
    "generate TABLE --output OUT.parquet --num-flows 5",
    "generate /no/such/model --output OUT.parquet --num-flows 5",
    "generate a/b/c --output OUT.parquet --num-flows 5",
    "split TABLE --output OUT --test-size 0",
    "split TABLE --output OUT --test-size 1",
    "split TABLE --output OUT --test-size nan",
    "split TABLE --output OUT --by day",
    "split TABLE --output OUT --seed 1.5",
    "export TABLE --output OUT.pcap --rate 0",
    "export TABLE --output OUT.pcap --rate nan",
    "export TABLE --output OUT.pcap --mss 0",
    "export TABLE --output OUT.pcap --mark -1",
    "export TABLE --output OUT.pcap --clients evil",
    "export TABLE --output OUT.pcap --clients 8.8.8.0/24",
    "export TABLE --output OUT.doc",
    "import TABLE --output OUT.parquet --max-packets 0",
    "import TABLE --output OUT.parquet --idle-timeout nan",
    "import TABLE --output OUT.parquet --idle-timeout -1",
    "import TABLE --output OUT.parquet --num-proc 0",
    "import /no/such/capture.pcap --output OUT.parquet",
    "evaluate --train TABLE --test TABLE --synthetic TABLE --output OUT --max-packets 0",
    "evaluate --train TABLE --test /no/such --synthetic TABLE --output OUT",
    "demo --port 0",
    "demo --port 70000",
    "demo --port evil",
    "study TABLE --output OUT --models evil",
    "study TABLE --output OUT --seeds x",
    "study TABLE --output OUT --shard 3/2",
    "quickstart --epochs 0 --output OUT",
    "quickstart --flows /no/such --output OUT",
    "publish /no/such org/name --dry-run",
    "nonsense",
    "--nonsense",
    "split TABLE --quiet --verbose --output OUT",
)
"""Command lines that must end with exit code 2 and one line."""


def place_words(scratch: Path, turn: int, table: Path, model: Path) -> tuple[str, list]:
    """A command whose output place cannot be written; what it is, and its words."""
    file, loop = scratch / "file", scratch / "loop"
    file.write_text("in the way")
    loop.symlink_to(loop)
    (scratch / "folder.parquet").mkdir()
    (scratch / "dangling").symlink_to(scratch / "gone" / "deeper")
    places = {
        "a file in the place of the folder": file,
        "a file in the place of a parent": file / "below" / "m",
        "a name that is too long": scratch / ("n" * 300),
        "a path that is too long": scratch.joinpath(*["d" * 200] * 30),
        "a link to itself": loop / "m",
        "no valid name": scratch / "a\0b",
        "not a place for files": Path("/proc/self/m"),
        "a device": Path("/dev/null/m"),
    }
    commands = {
        "train": lambda place: ["train", table, "--output", place, "--epochs", 1],
        "generate": lambda place: ["generate", model, "--num-flows", 3, "--output", f"{place}/flows.parquet"],
        "shards": lambda place: ["generate", model, "--num-flows", 3, "--num-shards", 1, "--output", place],
        "split": lambda place: ["split", table, "--output", place],
        "export": lambda place: ["export", table, "--output", f"{place}/flows.pcap"],
        "import": lambda place: ["import", table, "--output", f"{place}/flows.parquet"],
        "evaluate": lambda place: [
            "evaluate", "--train", table, "--test", table, "--synthetic", table, "--output", place,
        ],
    }  # fmt: skip
    command = list(commands)[turn % len(commands)]
    what = list(places)[(turn // len(commands)) % len(places)]
    return f"{command} into {what}", commands[command](places[what])
