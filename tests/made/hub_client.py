"""A Python process that talks to a loopback Hub: huggingface_hub reads its settings once, when it is imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
_LOOP = """
import contextlib, io, json, sys, traceback
for line in sys.stdin:
    said = io.StringIO()
    told = {"error": None}
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
        try:
            exec(compile(json.loads(line), "test", "exec"), {"__name__": "test"})
        except BaseException as error:
            told = {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
    print(json.dumps(told | {"out": said.getvalue()}), flush=True)
"""


class HubClient:
    """One process that runs pieces of code one after another, each with names of its own.

    Args:
        environment: variables on top of this process's. with_hf_ntg: whether our package is there.
    """

    def __init__(self, environment: dict[str, str], folder: Path, with_hf_ntg: bool = True) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        start = "" if with_hf_ntg else 'import sys; sys.modules["hf_ntg"] = None\n'
        self._process = subprocess.Popen(
            [sys.executable, "-c", start + _LOOP],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=kept | {"PYTHONPATH": str(ROOT) if with_hf_ntg else "", "OMP_NUM_THREADS": "1"} | environment,
        )

    def ask(self, code: str) -> dict:
        """Run `code`: ``out`` is what it printed, ``error`` the exception that ended it."""
        self._process.stdin.write(json.dumps(code) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def run(self, code: str) -> str:
        """Run `code`, which must not fail; returns what it printed."""
        told = self.ask(code)
        assert told["error"] is None, told["traceback"]
        return told["out"]

    def refused(self, code: str) -> str:
        """Run `code`, which must end in one line for the user; returns the line."""
        told = self.ask(code)
        assert told["error"] is not None, f"not refused; printed {told['out']!r}"
        assert told["error"].startswith("InputError: "), told["traceback"]
        assert "\n" not in told["error"]
        return told["error"]

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()
