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
    import torch

    from hf_ntg.generation.generator import FlowGenerator

__all__ = ["block_count", "draw_blocks"]

_here: FlowGenerator  # the generator of a worker process


def block_count(counts: np.ndarray, block_size: int) -> int:
    """Blocks that ``counts.sum()`` flows make; no flows make one empty block."""
    return max(1, -(-int(counts.sum()) // block_size))


def draw_blocks(
    generator: FlowGenerator, counts: np.ndarray, seed: int, blocks: range, num_proc: int, options: dict
) -> Iterator[FlowArrays]:
    """Draw `blocks` of the flows that a request means, in their order.

    The request is ``counts[k]`` flows of class k, class after class, cut into blocks of the generator's size.
    """
    if num_proc == 1 or len(blocks) == 1:
        for block in blocks:
            yield _draw(generator, _classes(counts, generator.block_size, block), seed, block, options)
        return
    workers = min(num_proc, len(blocks))
    threads = max(1, (os.cpu_count() or 1) // workers)
    pool = ProcessPoolExecutor(
        workers, get_context("spawn"), _open_worker, (str(generator.source), threads, generator.device)
    )
    with pool:
        waiting = deque()
        for block in blocks:
            classes = _classes(counts, generator.block_size, block)
            waiting.append(pool.submit(_draw_here, classes, seed, block, options))
            if len(waiting) > 2 * workers:  # so that what is drawn but not yet taken stays bounded
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _classes(counts: np.ndarray, block_size: int, block: int) -> np.ndarray:
    """The class of every flow of a block."""
    ends = np.cumsum(counts)
    first = block * block_size
    return np.searchsorted(ends, np.arange(first, min(first + block_size, ends[-1])), side="right")


def _draw(generator: FlowGenerator, classes: np.ndarray, seed: int, block: int, options: dict) -> FlowArrays:
    if not len(classes):  # no flows, but the columns that flows of this model have
        return generator.draw(np.zeros(1, dtype=np.int64), seed, block, **options).take(np.arange(0))
    return generator.draw(classes, seed, block, **options)


def _open_worker(source: str, threads: int, device: torch.device) -> None:
    global _here
    import torch

    from hf_ntg.generation.loading import load_generator

    torch.set_num_threads(threads)
    _here = load_generator(source, device=device)


def _draw_here(classes: np.ndarray, seed: int, block: int, options: dict) -> FlowArrays:
    return _draw(_here, classes, seed, block, options)
