"""What the benchmarks measure with."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import torch
import transformers

__all__ = ["counted_tokens", "device_name", "machine", "matmul_peak", "median_seconds", "validation_curve", "wait_for"]


def machine() -> str:
    """Versions and threads, for the head of a table."""
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    return f"{versions}, {torch.get_num_threads()} threads, {platform.machine()}"


def device_name(device: torch.device) -> str:
    """Name of a GPU as its driver gives it, or the kind of processor."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type} ({platform.machine()})"


def wait_for(device: torch.device) -> None:
    """Wait until `device` has done all work that was given to it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def median_seconds(job: Callable[[], object], repeats: int) -> float:
    """Median seconds of `job` over the repeats, after a warm-up."""
    job()
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        job()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def matmul_peak(size: int = 2_048, device: torch.device | None = None) -> float:
    """Floating-point operations a second of a float32 matrix product."""
    device = device or torch.device("cpu")
    one, other = torch.randn(size, size, device=device), torch.randn(size, size, device=device)

    def product() -> None:
        one @ other
        wait_for(device)

    return 2 * size**3 / median_seconds(product, 5)


class Enough(Exception):  # noqa: N818 (no error)
    """A training has run as many epochs as were wanted."""


@contextmanager
def validation_curve(
    objective: type, clock: Callable[[], float], epochs: int | None = None
) -> Iterator[list[tuple[float, float]]]:
    """A list that grows by the time of training and the loss of every validation of `objective`, a class.

    Args:
        clock: gives seconds; it stands still while losses are computed. epochs: training ends after so many.
    """
    measure, found, paused, started = objective.validation_loss, [], 0.0, clock()

    def timed(self, module):
        nonlocal paused
        stopped = clock()
        found.append((stopped - started - paused, measure(self, module)))
        paused += clock() - stopped
        if len(found) == epochs:
            raise Enough
        return found[-1][1]

    objective.validation_loss = timed
    try:
        with suppress(Enough):
            yield found
    finally:
        objective.validation_loss = measure


@contextmanager
def counted_tokens(model: transformers.PreTrainedModel) -> Iterator[list[int]]:
    """A list that grows by the number of tokens of every evaluation of `model`."""
    tokens: list[int] = []
    hook = model.get_input_embeddings().register_forward_hook(lambda _, given, __: tokens.append(given[0].numel()))
    yield tokens
    hook.remove()
