"""Drawing of blocks of flows in order, by one or several processes."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.generation.loading import load_sampler
from hf_ntg.generation.sampler import Sampler
from hf_ntg.workers import worker_pool

if TYPE_CHECKING:
    import torch

__all__ = ["block_count", "draw_blocks"]

_here: Sampler  # of a worker process


def block_count(counts: np.ndarray, block_size: int) -> int:
    """Blocks that ``counts.sum()`` flows fill; a request for no flows has one empty block."""
    return max(1, -(-int(counts.sum()) // block_size))


def draw_blocks(
    sampler: Sampler, folder: Path | None, counts: np.ndarray, seed: int, blocks: range, num_proc: int, options: dict
) -> Iterator[FlowArrays]:
    """Draw `blocks` of a request, in order.

    Args:
        folder: where `sampler` was loaded from; worker processes load it there.
        counts: (K,) flows of each class. The request is these flows, class after class, cut into blocks of
            ``sampler.block_size``.
        num_proc: processes that draw. options: for :meth:`Sampler.draw`.

    Raises:
        InputError: several processes are asked for, but the sampler was not loaded from a folder.
    """
    if num_proc == 1 or len(blocks) == 1:
        for block in blocks:
            yield _draw(sampler, _classes(counts, sampler.block_size, block), seed, block * sampler.block_size, options)
        return
    if folder is None:
        raise InputError(f"num_proc {num_proc}: only a saved model can draw in several processes; save and load it")
    workers = min(num_proc, len(blocks))
    threads = max(1, (os.cpu_count() or 1) // workers)
    with worker_pool(workers, _open_worker, (folder, threads, sampler.device)) as pool:
        waiting: deque[Future[FlowArrays]] = deque()
        for block in blocks:
            classes = _classes(counts, sampler.block_size, block)
            waiting.append(pool.submit(_draw_here, classes, seed, block * sampler.block_size, options))
            if len(waiting) > 2 * workers:  # bounds the flows that are drawn but not yet consumed
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _classes(counts: np.ndarray, block_size: int, block: int) -> np.ndarray:
    """The class of every flow of a block."""
    ends = np.cumsum(counts)
    first = block * block_size
    return np.searchsorted(ends, np.arange(first, min(first + block_size, ends[-1])), side="right")


def _draw(sampler: Sampler, classes: np.ndarray, seed: int, first: int, options: dict) -> FlowArrays:
    if not len(classes):  # no flows, but the columns that flows of this model have
        return sampler.draw(np.zeros(1, dtype=np.int64), seed, first, **options).take(np.arange(0))
    return sampler.draw(classes, seed, first, **options)


def _open_worker(folder: Path, threads: int, device: torch.device) -> None:
    global _here
    import torch

    torch.set_num_threads(threads)
    _here = load_sampler(folder, device)


def _draw_here(classes: np.ndarray, seed: int, first: int, options: dict) -> FlowArrays:
    return _draw(_here, classes, seed, first, options)
