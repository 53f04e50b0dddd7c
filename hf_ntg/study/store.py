"""Storage of study results: one JSON file for each run, collected into one file of JSON lines.

The name of a run's file holds its identity and a hash of all its settings: profile, training settings, flows, version
of the package. Runs with other settings get other files, so results of different settings are never mixed up. A change
of the package's code within a version keeps the name. Each result therefore holds a fingerprint of the code that made
it. A result with another fingerprint than the current code is *stale*. The caller decides whether it is kept or run
again, and stale results are always counted.
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
GENERATOR_LAYERS = ("flows", "codecs", "privacy", "models", "training", "generation", "augmentation")
JUDGE_LAYERS = ("flows", "metrics", "study/axes")
_PACKAGE = Path(hf_ntg.__file__).parent
_NOT_OF_IDENTITY = ("measures", "details", "notes", "made")


class ResultStore:
    """The finished runs in `folder`: those with their own file, and those in its ``results.jsonl``.

    A copy of ``results.jsonl`` is therefore enough to continue a study on another machine.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, run: Run, settings: dict[str, Any]) -> Path:
        """The file of `run` with these `settings`."""
        return self._path(run.identity(), digest(settings))

    def find(self, run: Run, settings: dict[str, Any]) -> dict | None:
        """The finished run, or None."""
        path = self.path(run, settings)
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else self._gathered.get(path)

    def keep(self, run: Run, settings: dict[str, Any], row: dict[str, Any]) -> None:
        """Write a finished run atomically."""
        write_text(self.path(run, settings), json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")

    def gather(self) -> list[dict]:
        """All finished runs. Of several with the same identity but other settings, the newest."""
        found: dict[tuple, dict] = {}
        own = (json.loads(path.read_text(encoding="utf-8")) for path in sorted(self.folder.glob("runs/*/*.json")))
        for row in (*self._gathered.values(), *own):
            identity = identity_of(row)
            if identity not in found or found[identity]["made"]["finished"] < row["made"]["finished"]:
                found[identity] = row
        return list(found.values())

    @cached_property
    def _gathered(self) -> dict[Path, dict]:
        """The runs in ``results.jsonl``, by the path that each would have as a file."""
        path = self.folder / RESULTS_FILE
        rows = read_results(path) if path.is_file() else []
        return {self._path(dict(_identity(row)), row["made"]["settings"]): row for row in rows}

    def _path(self, identity: dict[str, Any], settings: str) -> Path:
        name = "-".join(str(value) for name, value in identity.items() if name != "axis")
        return self.folder / "runs" / identity["axis"] / f"{re.sub(r'[^A-Za-z0-9.=-]+', '_', name)}-{settings}.json"


def identity_of(row: dict) -> tuple:
    """The identity of a planned or finished run: pairs of names and values as text."""
    return tuple((name, str(value)) for name, value in _identity(row))


def _identity(row: dict) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in row.items() if name not in _NOT_OF_IDENTITY]


def write_results(rows: Iterable[dict], path: Path) -> None:
    """Write runs as JSON lines, atomically."""
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


def digest(data: Any) -> str:
    """A short hash of data that JSON can hold."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:10]


@cache
def code_fingerprint(layers: tuple[str, ...]) -> str:
    """A short hash of the code in `layers`. It does not depend on comments or docstrings, see :func:`bare_code`."""
    seen = hashlib.sha256()
    for path in sorted(path for layer in layers for path in (_PACKAGE / layer).rglob("*.py")):
        seen.update(f"{path.relative_to(_PACKAGE)}\n{bare_code(path.read_text(encoding='utf-8'))}\n".encode())
    return seen.hexdigest()[:10]


def bare_code(source: str) -> str:
    """The lines of `source` without comments, docstrings and empty lines."""
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
    """The git commit of the package, with ``+`` if files differ from it; None outside a checkout."""
    try:
        command = ["git", "-C", str(_PACKAGE), "describe", "--always", "--abbrev=10", "--exclude=*", "--dirty=+"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
