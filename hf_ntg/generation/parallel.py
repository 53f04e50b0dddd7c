"""Blocks of flows, one after another, from one process or several."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING

import numpy as np

from hf_ntg.flows.arrays import FlowArrays

if TYPE_CHECKING:
    from hf_ntg.generation.generator import FlowGenerator

__all__ = ["draw_blocks"]

_here: FlowGenerator  # the generator of a worker process


def draw_blocks(
    generator: FlowGenerator, counts: np.ndarray, seed: int, num_proc: int, options: dict
) -> Iterator[FlowArrays]:
    """Draw ``counts[k]`` flows of class k, class after class, in blocks of the generator's size and in their order."""
    ends = np.cumsum(counts)
    if ends[-1] == 0:  # no flows, but the columns that flows of this model have
        yield generator.draw(np.zeros(1, dtype=np.int64), seed, 0, **options).take(np.arange(0))
        return
    tasks = []
    for block, first in enumerate(range(0, int(ends[-1]), generator.block_size)):
        flows = np.arange(first, min(first + generator.block_size, ends[-1]))
        tasks.append((np.searchsorted(ends, flows, side="right"), seed, block, options))
    if num_proc == 1 or len(tasks) == 1:
        for classes, *rest, settings in tasks:
            yield generator.draw(classes, *rest, **settings)
        return
    workers = min(num_proc, len(tasks))
    threads = max(1, (os.cpu_count() or 1) // workers)
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _open_worker, (str(generator.source), threads))
    with pool:
        waiting = deque()
        for task in tasks:
            waiting.append(pool.submit(_draw_here, *task))
            if len(waiting) > 2 * workers:  # so that what is drawn but not yet taken stays bounded
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _open_worker(source: str, threads: int) -> None:
    global _here
    import torch

    from hf_ntg.generation.loading import load_generator

    torch.set_num_threads(threads)
    _here = load_generator(source)


def _draw_here(classes: np.ndarray, seed: int, block: int, options: dict) -> FlowArrays:
    return _here.draw(classes, seed, block, **options)
