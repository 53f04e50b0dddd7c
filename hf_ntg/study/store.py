"""Where the results of a study lie: one file a run, written whole, gathered as JSON lines.

A run's file is named by its identity and by a hash of everything that it was told: profile, training settings, flows,
version of the package. A changed setting is another file, so a run is never taken for one that was told something else.
A change of the package's code within one version does not move the file: each result holds a fingerprint of the code
that made it, and one that differs from today's is *stale*: kept or run again, as the caller says, but always counted.
"""

from __future__ import annotations

import ast
import hashlib
import io
import json
import re
import subprocess
import tokenize
from collections.abc import Iterable
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import hf_ntg
from hf_ntg.errors import InputError
from hf_ntg.files import write_text
from hf_ntg.study.plan import Run

__all__ = [
    "GENERATOR_LAYERS",
    "JUDGE_LAYERS",
    "RESULTS_FILE",
    "ResultStore",
    "bare_code",
    "code_fingerprint",
    "commit",
    "digest",
    "identity_of",
    "read_results",
    "write_results",
]

RESULTS_FILE = "results.jsonl"
GENERATOR_LAYERS = ("flows", "codecs", "models", "training", "generation", "augmentation")
JUDGE_LAYERS = ("flows", "metrics", "study/axes")
_PACKAGE = Path(hf_ntg.__file__).parent
_NOT_OF_IDENTITY = ("measures", "details", "notes", "made")


class ResultStore:
    """The finished runs in `folder`: those with a file of their own, and those gathered in its ``results.jsonl``.

    So a study goes on from the results of another machine, of which nothing else was kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, run: Run, told: dict[str, Any]) -> Path:
        """The file of a run that was `told` these settings."""
        return self._path(run.identity(), digest(told))

    def find(self, run: Run, told: dict[str, Any]) -> dict | None:
        """The finished run, None where there is none."""
        path = self.path(run, told)
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else self._gathered.get(path)

    def keep(self, run: Run, told: dict[str, Any], row: dict[str, Any]) -> None:
        """Write a finished run, whole or not at all."""
        write_text(self.path(run, told), json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")

    def gather(self) -> list[dict]:
        """All finished runs; of those with one identity the newest, since settings may have changed."""
        found: dict[tuple, dict] = {}
        own = (json.loads(path.read_text(encoding="utf-8")) for path in sorted(self.folder.glob("runs/*/*.json")))
        for row in (*self._gathered.values(), *own):
            identity = identity_of(row)
            if identity not in found or found[identity]["made"]["finished"] < row["made"]["finished"]:
                found[identity] = row
        return list(found.values())

    @cached_property
    def _gathered(self) -> dict[Path, dict]:
        """The runs in ``results.jsonl``, by what their file would be."""
        path = self.folder / RESULTS_FILE
        rows = read_results(path) if path.is_file() else []
        return {self._path(dict(_identity(row)), row["made"]["told"]): row for row in rows}

    def _path(self, identity: dict[str, Any], told: str) -> Path:
        name = "-".join(str(value) for name, value in identity.items() if name != "axis")
        return self.folder / "runs" / identity["axis"] / f"{re.sub(r'[^A-Za-z0-9.=-]+', '_', name)}-{told}.json"


def identity_of(row: dict) -> tuple:
    """What tells a run from every other, whether it is planned or done: pairs of names and values as text."""
    return tuple((name, str(value)) for name, value in _identity(row))


def _identity(row: dict) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in row.items() if name not in _NOT_OF_IDENTITY]


def write_results(rows: Iterable[dict], path: Path) -> None:
    """Write runs as JSON lines, whole or not at all."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows))


def read_results(path: Path) -> list[dict]:
    """Read what :func:`write_results` wrote.

    Raises:
        InputError: there is no such file, or a line is not a run.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(f"{path}: no results of a study ({error.strerror}); run 'ntg study'") from error
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"{path}: line {number} is not JSON; run the study's report again") from error
        if not isinstance(row, dict) or not {"axis", "measures", "made"} <= row.keys():
            raise InputError(f"{path}: line {number} is not a run of a study")
        rows.append(row)
    return rows


def digest(told: Any) -> str:
    """A short hash of plain data."""
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:10]


@cache
def code_fingerprint(layers: tuple[str, ...]) -> str:
    """A short hash of the code of `layers`, the same on every version of Python; see :func:`bare_code`."""
    seen = hashlib.sha256()
    for path in sorted(path for layer in layers for path in (_PACKAGE / layer).rglob("*.py")):
        seen.update(f"{path.relative_to(_PACKAGE)}\n{bare_code(path.read_text(encoding='utf-8'))}\n".encode())
    return seen.hexdigest()[:10]


def bare_code(source: str) -> str:
    """The lines of `source` without comments, docstrings and empty lines, which do not change what it does."""
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_docstring(body[0]):
            for row in range(body[0].lineno, body[0].end_lineno + 1):
                lines[row - 1] = ""
    return "\n".join(line.rstrip() for line in lines if line.strip())


@cache
def commit() -> str | None:
    """The commit that the package lies at, with ``+`` where files differ from it; None outside a checkout."""
    try:
        told = ["git", "-C", str(_PACKAGE), "describe", "--always", "--abbrev=10", "--exclude=*", "--dirty=+"]
        return subprocess.run(told, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
