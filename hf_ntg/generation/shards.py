"""Very many flows as a folder of Parquet files, made by any number of processes, killed and restarted or not."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import hf_ntg
from hf_ntg.errors import InputError
from hf_ntg.files import write_text
from hf_ntg.flows.class_mix import class_counts
from hf_ntg.flows.save import save_flows
from hf_ntg.generation.generator import FlowGenerator
from hf_ntg.generation.parallel import block_count

__all__ = ["launched_share", "parse_share", "write_shards"]

REQUEST_FILE = "request.json"


def write_shards(
    generator: FlowGenerator,
    folder: str | Path,
    num_shards: int,
    num_flows: int | None = None,
    label: str | Mapping[str, int] | None = None,
    seed: int = 0,
    *,
    share: tuple[int, int] = (0, 1),
    told: Callable[[int], None] = lambda flows: None,
    **options,
) -> list[Path]:
    """Write this process's share of the flows that :meth:`FlowGenerator.generate` would make.

    The files, ``train-00003-of-00064.parquet`` and the like, hold the flows of one request in order, class after class;
    ``datasets.load_dataset(folder)`` reads them as one split. A file appears whole or not at all and is not made again,
    so a killed process is simply started again. ``request.json`` says what was asked: a process that asks for something
    else is turned away. Every process needs the memory of one file's flows at most.

    Args:
        num_shards: files; each holds whole blocks of ``generator.block_size`` flows, so there may be fewer.
        num_flows, label, seed, options: as for :meth:`FlowGenerator.generate`.
        share: (i, n): of the files, those of process i of n, from 0; see :func:`launched_share`.
        told: is given the number of flows of every file, as it appears or is found.

    Returns:
        The files of this share.

    Raises:
        InputError: the request cannot be met, or the folder holds the files of another one.
    """
    folder = Path(folder)
    counts = class_counts(num_flows, label, generator.labels, generator.label_weights)
    if num_shards < 1:
        raise InputError(f"num_shards {num_shards}: give at least 1")
    blocks = block_count(counts, generator.block_size)
    shards = min(num_shards, blocks)
    _agree(
        folder,
        {
            "hf_ntg": hf_ntg.__version__,
            "model": str(generator.source),
            "flows_per_class": {str(name): int(count) for name, count in zip(generator.labels, counts, strict=True)},
            "seed": seed,
            "options": options,
            "block_size": generator.block_size,
            "shards": shards,
        },
    )
    written = []
    for shard in range(share[0], shards, share[1]):
        path = folder / f"train-{shard:05d}-of-{shards:05d}.parquet"
        own = range(shard * blocks // shards, (shard + 1) * blocks // shards)
        if not path.exists():
            save_flows(generator.stream_blocks(counts, seed, own, options=options), path)
        told(min(own.stop * generator.block_size, int(counts.sum())) - own.start * generator.block_size)
        written.append(path)
    return written


def parse_share(text: str) -> tuple[int, int]:
    """``"i/n"``, process i of n from 0, as a pair.

    Raises:
        InputError: it is not that.
    """
    first, slash, second = text.partition("/")
    if not (slash and first.isdecimal() and second.isdecimal() and int(first) < int(second)):
        raise InputError(f"share {text!r}: give i/n: process i of n, counted from 0")
    return int(first), int(second)


def launched_share() -> tuple[int, int]:
    """This process's share as ``torchrun`` or ``accelerate launch`` tell it, (0, 1) for a process started alone."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def _agree(folder: Path, request: dict) -> None:
    """Write down the request, or see that it is the one written down."""
    path = folder / REQUEST_FILE
    if not path.exists():
        write_text(path, json.dumps(request, indent=2) + "\n")
        return
    found = json.loads(path.read_text(encoding="utf-8"))
    if found != json.loads(json.dumps(request)):
        differs = ", ".join(sorted(name for name in request if found.get(name) != request[name]))
        raise InputError(f"{folder}: holds the files of another request ({differs} differ); choose another folder")
