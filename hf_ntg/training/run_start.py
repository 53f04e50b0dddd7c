"""Where a training run begins: at the start, at a checkpoint, or not at all because it is finished."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from hf_ntg.errors import InputError
from hf_ntg.progress import log
from hf_ntg.training.checkpoints import newest_checkpoint
from hf_ntg.training.config import TrainingConfig
from hf_ntg.training.run_folder import RunFolder, differences

__all__ = ["RunStart", "decide_start"]


@dataclass(frozen=True)
class RunStart:
    """A run continues after `epoch` epochs, or is finished and has this `history`."""

    epoch: int = 0
    history: list[dict[str, float]] | None = None


def decide_start(run: RunFolder, config: TrainingConfig, identity: dict[str, Any]) -> RunStart:
    """Compare the requested run with the one in the folder; start a new run there if needed.

    Raises:
        InputError: the folder holds another run's model or checkpoints, and `config` does not ask to replace them.
    """
    epoch = newest_checkpoint(run.work)
    unfinished, finished = run.unfinished() if epoch else None, run.finished()
    if unfinished is not None and config.resume and unfinished == identity:
        log(f"{run.folder}: going on with the unfinished run after epoch {epoch}")
        return RunStart(epoch)
    if unfinished is not None and config.resume and not config.overwrite:
        what = differences(identity, unfinished)
        raise InputError(
            f"{run.folder}: holds an unfinished run with other settings or data: {what}; "
            "repeat its command, or give --no-resume to start over"
        )
    if finished is not None and not config.overwrite:
        if finished.get("identity") == identity and _is_history(finished.get("history")):
            run.discard()  # what a run that was killed at its very end did not remove
            log(f"{run.folder}: already trained with these settings and flows; --overwrite trains it again")
            return RunStart(history=finished["history"])
        if finished.get("privacy"):
            raise InputError(
                f"{run.folder}: holds a private model; another one spends another budget. Choose another folder, or "
                "replace it by --overwrite"
            )
        theirs = finished.get("identity")
        what = differences(identity, theirs) if isinstance(theirs, dict) else ""
        held = "a model with a damaged record" if theirs == identity else f"a model of another run{what and ': '}{what}"
        raise InputError(f"{run.folder}: holds {held}; choose another folder, or replace it by --overwrite")
    run.begin(identity)
    return RunStart()


def _is_history(found: Any) -> bool:
    """Whether a record holds the losses of at least one epoch."""
    numbers = [value for epoch in found for value in epoch.values()] if _is_list_of_objects(found) else []
    return bool(numbers) and all(isinstance(value, int | float) and math.isfinite(value) for value in numbers)


def _is_list_of_objects(found: Any) -> bool:
    return isinstance(found, list) and bool(found) and all(isinstance(part, dict) and part for part in found)
