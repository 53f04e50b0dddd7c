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
    answer = {"error": None}
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
        try:
            exec(compile(json.loads(line), "test", "exec"), {"__name__": "test"})
        except BaseException as error:
            answer = {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
    print(json.dumps(answer | {"out": said.getvalue()}), flush=True)
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
        answer = self.ask(code)
        assert answer["error"] is None, answer["traceback"]
        return answer["out"]

    def refused(self, code: str) -> str:
        """Run `code`, which must end in one line for the user; returns the line."""
        answer = self.ask(code)
        assert answer["error"] is not None, f"not refused; printed {answer['out']!r}"
        assert answer["error"].startswith("InputError: "), answer["traceback"]
        assert "\n" not in answer["error"]
        return answer["error"]

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(timeout=120)
        self._process.stdout.close()
