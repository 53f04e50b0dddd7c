"""An environment for each synthesiser, with the releases that were measured.

The synthesisers pin other releases of what hf_ntg uses, so none of them is installed beside it. Torch comes first and
as a CPU build, because the default build downloads gigabytes for GPUs.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from hf_ntg import InputError

__all__ = ["INSTALLS", "PACKAGES", "installed_python", "versions"]

TORCH = ["torch==2.13.0+cpu", "--extra-index-url", "https://download.pytorch.org/whl/cpu"]
# What `pip install` is called with, one call after the other.
INSTALLS: dict[str, list[list[str]]] = {
    "arf": [["arfpy==0.1.1", "pandas==2.3.3", "numpy==2.3.5", "pyarrow==26.0.1"]],
    "origami": [TORCH, ["origami-ml[numba]==2.0.1", "pandas==3.1.1", "pyarrow==26.0.1"]],
    # Its tables need neither torchvision nor the servers of language models that the package asks for.
    "mostlyai": [
        TORCH,
        ["--no-deps", "mostlyai-engine==2.7.3"],
        ["pandas==3.1.1", "pyarrow==26.0.1", "datasets==5.2.0", "opacus==1.6.0", "psutil==5.9.8", "pydantic==2.14.4"],
        ["joblib==1.6.0", "scikit-learn==1.9.1", "transformers==5.24.0", "peft==0.21.2", "accelerate==1.15.0"],
    ],
    "sdv": [TORCH, ["sdv==2.0.0", "pyarrow==26.0.1"]],
    "realtabformer": [TORCH, ["realtabformer<0.3", "transformers<5"]],
    "smartnoise": [TORCH, ["smartnoise-synth==1.0.8", "mbi==1.1.0", "pandas==2.3.3", "pyarrow==26.0.1"]],
}
PACKAGES = {  # whose releases a row of results names
    "arf": ("arfpy", "scikit-learn"),
    "origami": ("origami-ml", "torch"),
    "mostlyai": ("mostlyai-engine", "torch"),
    "sdv": ("sdv", "torch"),
    "realtabformer": ("realtabformer", "transformers", "torch"),
    "smartnoise": ("smartnoise-synth", "mbi"),
}


def installed_python(name: str, folder: Path) -> Path:
    """Python of the environment `name` of `INSTALLS` in `folder`. The first call installs it, which takes minutes.

    Raises:
        InputError: an installation fails; the message ends with pip's last lines.
    """
    home = folder / name
    python, done = home / "bin" / "python", home / "installed"
    wanted = hashlib.sha256(repr(INSTALLS[name]).encode()).hexdigest()
    if done.is_file() and done.read_text() == wanted:
        return python
    print(f"installing {name} in {home}", file=sys.stderr, flush=True)
    run([sys.executable, "-m", "venv", "--clear", str(home)], name)
    for words in INSTALLS[name]:
        run([str(python), "-m", "pip", "install", "--quiet", *words], name)
    done.write_text(wanted)
    return python


def run(command: list[str], name: str) -> None:
    """Run one step of an installation."""
    found = subprocess.run(command, capture_output=True, text=True)
    if found.returncode:
        last = "\n".join(found.stderr.strip().splitlines()[-5:])
        raise InputError(f"{name}: {' '.join(command)} failed:\n{last}")


def versions(python: Path, packages: Sequence[str]) -> dict[str, str]:
    """Releases of `packages` in an environment."""
    code = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    listed = subprocess.run([str(python), "-c", code, *packages], capture_output=True, text=True, check=True)
    return dict(zip(packages, listed.stdout.split(), strict=True))
