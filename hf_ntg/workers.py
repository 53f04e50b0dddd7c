"""Worker processes that end with their parent, ignore Ctrl-C, and are missed with one line when they are killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

from hf_ntg.errors import InputError

__all__ = ["end_with_parent", "worker_pool"]

_LOOK_EVERY = 0.5  # seconds


@contextmanager
def worker_pool(
    count: int, initializer: Callable[..., object], initargs: tuple[Any, ...] = ()
) -> Iterator[ProcessPoolExecutor]:
    """`count` fresh processes, each of which first calls ``initializer(*initargs)``.

    They are started anew, since a copy of a process with threads may hang. When the block is left by an error or an
    interruption, they are stopped at once.

    Raises:
        InputError: a worker was killed.
    """
    pool = ProcessPoolExecutor(count, get_context("spawn"), _open_worker, (os.getpid(), initializer, initargs))
    try:
        with _interrupts_held():  # the workers are started here, and inherit that they are not interrupted
            pool.submit(os.getpid)
        yield pool
    except BrokenProcessPool as error:
        raise InputError(
            "a worker process was killed, most often for lack of memory; fewer processes (--num-proc) need less. "
            "The same command can be given again"
        ) from error
    except BaseException:
        for process in list((getattr(pool, "_processes", None) or {}).values()):
            process.terminate()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


def end_with_parent(parent: int) -> None:
    """End this process soon after process `parent`, which started it, has ended."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_EVERY)
        os._exit(1)

    threading.Thread(target=watch, name="watch-parent", daemon=True).start()


def _open_worker(parent: int, initializer: Callable[..., object], initargs: tuple[Any, ...]) -> None:
    end_with_parent(parent)
    initializer(*initargs)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
