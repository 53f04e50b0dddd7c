"""How long the threads of torch's OpenMP runtime spin while they wait for each other."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

__all__ = ["limit_spinning"]

# GNU's runtime (in torch's wheels for Linux) counts turns of its waiting loop. LLVM's and Intel's (in those for macOS
# and Windows) count milliseconds. 2,000 turns last about as long as the gaps between the parallel parts of one training
# step, so threads still meet without a system call.
_LIMITS = {"GOMP_SPINCOUNT": "2000", "KMP_BLOCKTIME": "0"}
_POLICY = "OMP_WAIT_POLICY"  # the standard's own variable, which both runtimes obey


def limit_spinning(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let waiting OpenMP threads sleep soon, so that they leave busy processors to the thread that they wait for.

    By default they spin for milliseconds. If other programs run, the thread that still has work may then get no
    processor, and a training step can take ten times its processor time.

    The runtime reads its settings when it is loaded, so this has an effect only before torch is imported. Settings that
    the user made are kept.

    Args:
        environment: where the settings are written, by default this process's environment.
    """
    if _POLICY in environment:
        return
    for name, limit in _LIMITS.items():
        environment.setdefault(name, limit)
