"""Generation of very many flows as a folder of Parquet files, by any number of processes that can be restarted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from hf_ntg.errors import InputError, Interrupted
from hf_ntg.files import write_text
from hf_ntg.flows.class_mix import class_counts
from hf_ntg.flows.disk_space import with_space_checked
from hf_ntg.flows.provenance import with_command
from hf_ntg.flows.save import save_flows
from hf_ntg.generation.generator import FlowGenerator
from hf_ntg.generation.parallel import block_count
from hf_ntg.generation.sampler import check_options

__all__ = ["write_shards"]

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
    command: str = "",
    on_progress: Callable[[int], None] = lambda flows: None,
    **options,
) -> list[Path]:
    """Write this process's share of the flows that :meth:`FlowGenerator.generate` would make.

    The files, ``train-00003-of-00064.parquet`` and the like, hold the flows of one request in order, class after class;
    ``datasets.load_dataset(folder)`` reads them as one split. Files are written atomically, and finished files are
    kept, so a killed process can simply be started again. ``request.json`` describes the request; a process with
    another request is refused. A process needs the memory of a few blocks of flows.

    Args:
        num_shards: files; each holds whole blocks of ``generator.block_size`` flows, so there may be fewer.
        num_flows, label, seed, options: as for :meth:`FlowGenerator.generate`.
        share: (i, n): write the files of process i of n, from 0; see :func:`hf_ntg.launch.launched_share`.
        command: command line stored in the files' provenance, see :class:`hf_ntg.flows.provenance.Provenance`.
        on_progress: called with the number of flows of each file, once it is there.

    Returns:
        The files of this share.

    Raises:
        InputError: the request cannot be met, or the folder holds the files of another one.
    """
    folder = Path(folder)
    check_options(generator.sampler, options)
    counts = class_counts(num_flows, label, generator.labels, generator.label_weights)
    if num_shards < 1:
        raise InputError(f"num_shards {num_shards}: give at least 1")
    blocks = block_count(counts, generator.block_size)
    shards = min(num_shards, blocks)
    _agree(
        folder,
        {
            "hf_ntg": generator.model_identity.hf_ntg,
            "model": generator.model_identity.revision,
            "flows_per_class": {str(name): int(count) for name, count in zip(generator.labels, counts, strict=True)},
            "seed": seed,
            "options": options,
            "block_size": generator.block_size,
            "shards": shards,
        },
    )
    written: list[Path] = []
    files = [folder / f"train-{shard:05d}-of-{shards:05d}.parquet" for shard in range(shards)]
    missing = sum(not files[shard].exists() for shard in range(share[0], shards, share[1]))
    for shard in range(share[0], shards, share[1]):
        path = files[shard]
        own = range(shard * blocks // shards, (shard + 1) * blocks // shards)
        if not path.exists():
            drawn = generator.stream_blocks(counts, seed, own, options=options)
            made: Iterator[object] = (with_command(block, command) for block in drawn)
            if missing:  # once, for all files of this process
                made = with_space_checked(made, path, int(counts.sum()) * missing // shards)
                missing = 0
            try:
                save_flows(made, path)
            except KeyboardInterrupt as error:
                kept = f"{len(written)} of {len(range(share[0], shards, share[1]))} files are kept"
                raise Interrupted(f"interrupted; {kept}, the same command makes the others ({folder})") from error
        on_progress(min(own.stop * generator.block_size, int(counts.sum())) - own.start * generator.block_size)
        written.append(path)
    return written


def _agree(folder: Path, request: dict) -> None:
    """Write the request file, or check that the existing one describes the same request."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: a file; shards go into a folder")
    path = folder / REQUEST_FILE
    if not path.exists():
        write_text(path, json.dumps(request, indent=2) + "\n")
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InputError(f"{path}: damaged; remove it to make all files again")
    if found != json.loads(json.dumps(request)):
        differs = ", ".join(sorted(name for name in request if found.get(name) != request[name]))
        raise InputError(f"{folder}: holds the files of another request ({differs} differ); choose another folder")
