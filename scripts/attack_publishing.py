"""Attacks on publishing: things planted in a model folder or a table that must not reach the published folder."""

from __future__ import annotations

import json
import os
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hf_ntg.generation import FlowGenerator
from hf_ntg.hub.publish import lay_out
from hf_ntg.hub.upload import Destination

__all__ = ["PLANTED", "SECRETS", "publishing_attack"]

PLANTED = "planted-by-the-attack"
"""A harmless text in places that are not part of a model: no published file may hold it."""

# Made up, and put together here so that no scanner of this repository takes them for real.
_LETTERS = "aB3dE6fG9hJ2kL5mN8pQ1rS4tU7vW0xY"
SECRETS = {
    "Hugging Face": "hf_" + _LETTERS + "zz",
    "GitHub": "ghp_" + _LETTERS + "zzzz",
    "GitHub, fine-grained": "github_pat_" + _LETTERS + _LETTERS,
    "GitLab": "glpat-" + _LETTERS[:20],
    "AWS": "AKIA" + "ABCDEFGH23456723",
    "AWS session": "ASIA" + "ABCDEFGH23456723",
    "Google": "AIza" + _LETTERS + "abc",
    "OpenAI": "sk-" + "proj-" + _LETTERS + _LETTERS,
    "Anthropic": "sk-" + "ant-api03-" + _LETTERS + _LETTERS,
    "npm": "npm_" + _LETTERS + "abcd",
    "PyPI": "pypi-" + "AgEIcHlwaS5vcmc" + _LETTERS + _LETTERS,
    "Stripe": "sk_" + "live_" + _LETTERS[:24],
    "Slack": "xoxb-" + "123456789012-123456789012-" + _LETTERS[:24],
    "Slack hook": "https://hooks.slack.com/services/" + "T00000000/B00000000/" + _LETTERS[:24],
    "JSON Web Token": "eyJ" + "hbGciOiJIUzI1NiJ9." + "eyJ" + "zdWIiOiIxMjM0NTY3ODkwIn0." + _LETTERS,
    "private key": "-----BEGIN RSA PRIVATE KEY-----",
    "OpenSSH key": "-----BEGIN OPENSSH PRIVATE KEY-----",
    "PGP key": "-----BEGIN PGP PRIVATE KEY BLOCK-----",
    "URL with a password": "https://" + "me:pw12@example.org/",
    "short URL with a password": "ftp://" + "a:b@c.de",
    "database URL": "postgres://" + "root:hunter2@db/x",
    "Azure storage": "DefaultEndpointsProtocol=https;AccountName=x;AccountKey=" + 2 * _LETTERS + _LETTERS[:22] + "==",
    "SendGrid": "SG." + _LETTERS[:22] + "." + _LETTERS + "abcdefghijk",
    "Twilio": "SK" + "0123456789abcdef0123456789abcdef",
    "Telegram": "123456789:" + "AA" + _LETTERS + "a",
    "Discord": "MTIzNDU2Nzg5MDEyMzQ1Njc4." + "Gabcde." + _LETTERS[:27],
    "DigitalOcean": "dop_" + "v1_" + 2 * "0123456789abcdef0123456789abcdef",
    "Databricks": "dapi" + "0123456789abcdef0123456789abcdef",
    "Shopify": "shpat_" + "0123456789abcdef0123456789abcdef",
    "Docker": "dckr_" + "pat_" + _LETTERS[:27],
    "Vault": "hvs." + _LETTERS[:24] + _LETTERS[:24],
    "age": "AGE-SECRET-KEY-1" + 58 * "Q",
    "bearer": "Authorization: Bearer " + _LETTERS,
    "basic": "Authorization: Basic " + "bWU6aHVudGVyMmh1bnRlcjI=",
    "public address": "seen at 8.8.4.4",
    "public IPv6 address": "2001:4860:4860::8888",
    "hardware address": "00:1a:2b:3c:4d:5e",
    "hardware address, Cisco": "001a.2b3c.4d5e",
    "path": "/home/someone/flows.parquet",
    "path of a system file": "see /etc/ssh/ssh_host_rsa_key",
    "Windows path": "C:\\Users\\someone\\flows.parquet",
    "network path": "\\\\server\\share\\flows.parquet",
}
_PLACES = ("training_run.json", "training_config.json", "evaluation.json", "key", "deep", "tokenizer_config.json")
_WAYS = (
    "link", "link to a folder", "hard link", "pipe", "pipe for a picture", "device", "duplicate keys", "picture",
    "picture with text", "large picture", "safetensors metadata", "foreign file", "pickle", "deep JSON", "surrogate",
    "password", "Parquet metadata", "Parquet column", "Parquet nested column", "Parquet capture", "real flows mixed in",
    "Parquet label",
)  # fmt: skip


def publishing_attack(setting: Any, scratch: Path, turn: int, rng: random.Random) -> tuple[str, Callable[[], str]]:
    """Plant something, publish, and look for it in what would be sent."""
    import shutil

    folder = scratch / "model"
    shutil.copytree(setting.models[rng.choice(sorted(setting.models))], folder)
    if turn % 2:
        kind = list(SECRETS)[(turn // 2) % len(SECRETS)]
        place = rng.choice(_PLACES)
        _plant_text(folder, place, SECRETS[kind])
        return f"{kind} in {place}", lambda: _leaks(str(folder), scratch / "out", SECRETS[kind])
    way = _WAYS[(turn // 2) % len(_WAYS)]
    if way.startswith(("Parquet", "real")):
        path, word = _planted_table(setting, scratch, way), "8.8.4.4" if way == "Parquet label" else PLANTED
        return way, lambda: _leaks(str(path), scratch / "out", word)
    _plant(folder, way)
    return way, lambda: _leaks(str(folder), scratch / "out", PLANTED)


def _leaks(source: str, out: Path, word: str) -> str:
    """Publish `source` into `out`; says where `word` appears in it."""
    lay_out(source, out, Destination("org/name"), license="apache-2.0", report=None, trained_on="loopback")
    for path in sorted(out.rglob("*")):
        if path.is_symlink() or (path.exists() and not path.is_dir() and not path.is_file()):
            return f"{path.name} is no plain file"
        if path.is_file() and any(text in path.read_bytes() for text in _written(word)):
            return f"{path.relative_to(out)} holds what was planted"
    return ""


def _written(word: str) -> list[bytes]:
    return [word.encode(), json.dumps(word)[1:-1].encode()]


def _plant_text(folder: Path, place: str, text: str) -> None:
    name = place if place.endswith(".json") else "training_run.json"
    path = folder / name
    found = json.loads(path.read_text()) if path.exists() else {}
    if place == "key":
        found[text] = 1
    elif place == "deep":
        found["x"] = [{"y": [[text]]}]
    else:
        found["note"] = f"with {text}"
    path.write_text(json.dumps(found))


def _plant(folder: Path, way: str) -> None:
    run = folder / "training_run.json"
    if way == "link":
        (folder.parent / "secret.json").write_text(json.dumps({"x": PLANTED}))
        run.unlink(missing_ok=True)
        run.symlink_to(folder.parent / "secret.json")
    elif way == "link to a folder":
        (folder.parent / "elsewhere").mkdir()
        (folder.parent / "elsewhere" / "a.txt").write_text(PLANTED)
        (folder / "more").symlink_to(folder.parent / "elsewhere")
    elif way == "hard link":
        (folder.parent / "secret.txt").write_text(PLANTED)
        os.link(folder.parent / "secret.txt", folder / "notes.txt")
    elif way == "pipe":
        run.unlink(missing_ok=True)
        os.mkfifo(run)
    elif way == "pipe for a picture":
        os.mkfifo(folder / "packets.png")
    elif way == "device":
        (folder / "packets.png").symlink_to("/dev/zero")
    elif way == "duplicate keys":
        run.write_text(f'{{"a": "{PLANTED}", "a": 1}}')
    elif way.endswith("picture"):
        size = 30_000 if way == "large picture" else 1
        (folder / "packets.png").write_bytes(_png(size, size) + PLANTED.encode())
    elif way == "picture with text":
        (folder / "packets.png").write_bytes(_png(1, 1, b"Comment\0" + PLANTED.encode()))
    elif way == "safetensors metadata":
        path = next(folder.rglob("*.safetensors"))
        data = path.read_bytes()
        length = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8 : 8 + length]) | {"__metadata__": {"format": "pt", "note": PLANTED}}
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])
    elif way == "foreign file":
        (folder / "optimizer.txt").write_text(PLANTED)
        (folder / ".env").write_text(f"TOKEN={PLANTED}")
    elif way == "pickle":
        (folder / "training.pkl").write_bytes(b"\x80\x04" + PLANTED.encode())
    elif way == "deep JSON":
        run.write_text('{"a": ' * 900 + f'"{PLANTED}"' + "}" * 900)
    elif way == "surrogate":
        run.write_text(f'{{"note": "\\ud800 {PLANTED}"}}')
    else:
        run.write_text(json.dumps({"password": PLANTED, "hf_token": PLANTED}))


def _png(width: int, height: int, text: bytes | None = None) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(bytes(width + 1) * min(height, 100))
    more = chunk(b"tEXt", text) if text else b""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + more + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _planted_table(setting: Any, scratch: Path, way: str) -> Path:
    path = scratch / "made.parquet"
    from hf_ntg.flows import save_flows

    save_flows(FlowGenerator.from_pretrained(setting.models["gpt2"]).generate(20, seed=1), path)
    table = pq.read_table(path)
    if way == "Parquet metadata":
        table = table.replace_schema_metadata({**table.schema.metadata, b"note": PLANTED.encode()})
    elif way == "Parquet column":
        table = table.append_column("note", pa.array([PLANTED] * len(table)))
    elif way == "Parquet nested column":
        table = table.append_column("note", pa.array([[{"a": PLANTED}]] * len(table)))
    elif way == "Parquet capture":
        table = table.append_column("capture", pa.array([PLANTED] * len(table)))
    elif way == "Parquet label":
        labels = pa.array(["hf_" + _LETTERS + " 8.8.4.4"] * len(table))
        table = table.set_column(table.column_names.index("label"), "label", labels)
    else:
        ids = [*table.column("flow_id").to_pylist()[:-1], f"capture#{PLANTED}"]
        table = table.set_column(table.column_names.index("flow_id"), "flow_id", pa.array(ids))
    pq.write_table(table, path)
    return path
