"""What the benchmarks measure with."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import transformers

__all__ = ["counted_tokens", "machine", "matmul_peak", "median_seconds"]


def machine() -> str:
    """Versions and threads, for the head of a table."""
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    return f"{versions}, {torch.get_num_threads()} threads, {platform.machine()}"


def median_seconds(job: Callable[[], object], repeats: int) -> float:
    """Median seconds of `job` over the repeats, after a warm-up."""
    job()
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        job()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def matmul_peak(size: int = 2_048) -> float:
    """Floating-point operations a second of a float32 matrix product."""
    one, other = torch.randn(size, size), torch.randn(size, size)
    return 2 * size**3 / median_seconds(lambda: one @ other, 5)


@contextmanager
def counted_tokens(model: transformers.PreTrainedModel) -> Iterator[list[int]]:
    """A list that grows by the number of tokens of every evaluation of `model`."""
    tokens: list[int] = []
    hook = model.get_input_embeddings().register_forward_hook(lambda _, given, __: tokens.append(given[0].numel()))
    yield tokens
    hook.remove()
