"""Checkpoints of a run under way: written whole, newest kept, gone when the run is done."""

from __future__ import annotations

import shutil
from pathlib import Path

from accelerate import Accelerator

__all__ = ["discard_checkpoints", "restore_checkpoint", "write_checkpoint"]

_FOLDER = "checkpoints"


def write_checkpoint(accelerator: Accelerator, folder: Path, epoch: int) -> None:
    """Save the whole state of the run after `epoch` epochs, in place of the checkpoints before it."""
    target = folder / _FOLDER / f"epoch-{epoch}"
    scratch = target.with_suffix(".part")
    if accelerator.is_main_process:
        shutil.rmtree(scratch, ignore_errors=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(scratch))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        older = _whole(folder)
        scratch.replace(target)
        for path in older.values():
            shutil.rmtree(path)
    accelerator.wait_for_everyone()


def restore_checkpoint(accelerator: Accelerator, folder: Path) -> int:
    """Load the newest checkpoint; returns the epochs it had done, 0 where there is none."""
    found = _whole(folder)
    if not found:
        return 0
    epoch = max(found)
    accelerator.load_state(str(found[epoch]))
    return epoch


def discard_checkpoints(folder: Path) -> None:
    """Remove what is only of use to a run under way."""
    shutil.rmtree(folder / _FOLDER, ignore_errors=True)


def _whole(folder: Path) -> dict[int, Path]:
    paths = (folder / _FOLDER).glob("epoch-*")
    return {int(path.name.removeprefix("epoch-")): path for path in paths if path.suffix != ".part"}
