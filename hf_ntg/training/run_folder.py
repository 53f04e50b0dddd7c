"""The folder of a training run: its state, its lock, and the replacement of its model.

A folder holds one model. While a run is under way its files are in ``checkpoints/``; a model that is already in the
folder stays as it is until the new one is complete. An unfinished run is described by ``checkpoints/run.json``, a
finished one by ``training_run.json``: both hold the *identity* of the run, which decides whether the same command was
given again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import hf_ntg
from hf_ntg.constants import RUN_FILE
from hf_ntg.errors import InputError
from hf_ntg.files import is_scratch, lock_folder, naming_errors, write_text
from hf_ntg.json_files import read_object_or_empty
from hf_ntg.output_places import check_output_folder
from hf_ntg.training.checkpoints import is_checkpoint
from hf_ntg.training.config import MACHINE_SETTINGS, TrainingConfig

__all__ = ["RunFolder", "differences", "is_being_placed", "open_run_folder", "run_identity"]

WORK = "checkpoints"
_IDENTITY_FILE, _PLACING_FILE = "run.json", "placing.json"
_NO_PART_OF_IDENTITY = (*MACHINE_SETTINGS, "checkpoint_every")
# Files that belong to a model and are replaced with it. Any other file in the folder belongs to the user.
_MODEL_FILES = (
    "model*.safetensors",
    "baseline.safetensors",
    "model.safetensors.index.json",
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "flow_grammar.json",
    "model_index.json",
    "training_*.json",
    "evaluation.json",
    "study.json",
    "README.md",
    "packets.png",
)
_MODEL_FOLDERS = ("unet", "scheduler", "processor")
_BESIDE_MODEL = ("runs", ".git", ".gitattributes", ".gitignore", ".cache", "LICENSE")
_WORK_FILES = (_IDENTITY_FILE, _PLACING_FILE, "model", "model.part")


def run_identity(config: TrainingConfig, flows_digest: str | None, processes: int) -> dict[str, Any]:
    """Everything that determines the model of a run: settings, flows, initial weights, processes and version.

    A private run keeps no digest of its flows.
    """
    settings = {name: value for name, value in asdict(config).items() if name not in _NO_PART_OF_IDENTITY}
    return {
        "settings": settings,
        "flows": flows_digest,
        "initial_model": None if config.initial_model is None else _weights_digest(config.initial_model),
        "processes": processes,
        "hf_ntg": hf_ntg.__version__,
    }


@contextmanager
def open_run_folder(folder: Path) -> Iterator[RunFolder]:
    """Create `folder` if it is missing, lock it, and complete what a killed run left half done.

    Raises:
        InputError: nothing can be written there, another process is training there, or it is not a folder for a model.
    """
    check_output_folder(folder)
    fresh = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    with lock_folder(folder):
        run = RunFolder(folder)
        run.refuse_foreign()
        run.finish_placing()
        try:
            yield run
        finally:
            if not any(run.work.glob("*")):
                shutil.rmtree(run.work, ignore_errors=True)
            if fresh and not any(folder.iterdir()):
                folder.rmdir()


class RunFolder:
    """A locked folder of a training run.

    Attributes:
        folder: folder of the model. work: its ``checkpoints/``, for files that only an unfinished run needs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.work = folder, folder / WORK

    def unfinished(self) -> dict[str, Any] | None:
        """Identity of the unfinished run, or None."""
        path = self.work / _IDENTITY_FILE
        if not path.is_file():
            return None
        found = _read_json(path)
        return found if isinstance(found, dict) else {}

    def finished(self) -> dict[str, Any] | None:
        """The record of the model in the folder, empty for one without a readable record; None without a model."""
        if not self._model_parts():
            return None
        return read_object_or_empty(self.folder / RUN_FILE)

    def begin(self, identity: dict[str, Any]) -> None:
        """Start a new run in place of an unfinished one."""
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir()
        write_text(self.work / _IDENTITY_FILE, json.dumps(identity, indent=2) + "\n")

    def discard(self) -> None:
        """Remove the unfinished run; a model in the folder stays."""
        shutil.rmtree(self.work, ignore_errors=True)

    @contextmanager
    def placing_model(self) -> Iterator[Path]:
        """Give an empty folder for the new model. If the block succeeds, this model replaces the one in the folder."""
        part, whole = self.work / "model.part", self.work / "model"
        for left in (part, whole):  # by a run that was killed before it could say that its model is complete
            shutil.rmtree(left, ignore_errors=True)
        part.mkdir(parents=True)
        with naming_errors(self.folder, part):
            yield part
        part.replace(whole)
        names = sorted(path.relative_to(whole).as_posix() for path in whole.rglob("*") if path.is_file())
        # From here on the new model is valid: if this run is killed now, the next one completes the replacement.
        write_text(self.work / _PLACING_FILE, json.dumps(names) + "\n")
        self.finish_placing()

    def finish_placing(self) -> None:
        """Move a complete new model into the folder, also one that a killed run had begun to move."""
        if not (self.work / _PLACING_FILE).is_file():
            return
        new = self.work / "model"
        moved = [path.relative_to(new) for path in sorted(new.rglob("*")) if path.is_file()]
        names = _read_json(self.work / _PLACING_FILE)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise InputError(f"{self.work / _PLACING_FILE}: damaged; remove the folder {self.work} and train again")
        kept = {Path(name) for name in names}
        for old in self._model_parts():
            for path in [old] if old.is_file() else sorted(old.rglob("*"), reverse=True):
                if path.is_file() and path.relative_to(self.folder) not in kept:
                    path.unlink()
        for name in moved:
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (new / name).replace(self.folder / name)
        for part in _MODEL_FOLDERS:
            if (self.folder / part).is_dir() and not any((self.folder / part).iterdir()):
                (self.folder / part).rmdir()
        self.discard()

    def refuse_foreign(self) -> None:
        """Refuse a folder with files that do not belong to a model, since they would be mixed with it."""
        known = {*self._model_parts(), *(self.folder / name for name in (WORK, *_BESIDE_MODEL))}
        inside = self.work.iterdir() if self.work.is_dir() else iter(())
        foreign = [path for path in self.folder.iterdir() if path not in known or _is_linked_folder(path)]
        foreign += [path for path in inside if path.name not in _WORK_FILES and not is_checkpoint(path)]
        names = sorted(path.relative_to(self.folder) for path in foreign if not is_scratch(path))
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise InputError(f"{self.folder}: holds {names[0]}{more}, no part of a model; choose another folder")

    def _model_parts(self) -> list[Path]:
        files = {path for pattern in _MODEL_FILES for path in self.folder.glob(pattern) if path.is_file()}
        return sorted(files | {self.folder / name for name in _MODEL_FOLDERS if (self.folder / name).is_dir()})


def is_being_placed(folder: Path) -> bool:
    """Whether a killed run left the model in `folder` half replaced."""
    return (folder / WORK / _PLACING_FILE).is_file()


def differences(requested: dict[str, Any], existing: dict[str, Any]) -> str:
    """What differs between two identities, in words: ``learning_rate 0.002 (was 0.001), the flows``."""
    found = []
    old_settings = existing.get("settings")
    old_settings = old_settings if isinstance(old_settings, dict) else {}
    for name in sorted(requested["settings"].keys() | old_settings.keys()):
        new, old = requested["settings"].get(name), old_settings.get(name)
        if new != old:
            found.append(f"{_shown(name)} {new} (was {_shown(old)})")
    words = {"flows": "the flows", "initial_model": "the initial model"}
    others = [
        name for name in ("flows", "initial_model", "processes", "hf_ntg") if requested[name] != existing.get(name)
    ]
    found += [words.get(name) or f"{name} {requested[name]} (was {_shown(existing.get(name))})" for name in others]
    return ", ".join(found)


def _shown(value: Any) -> str:
    return ascii(value)[:40].strip("'")


def _is_linked_folder(path: Path) -> bool:
    return path.is_symlink() and path.is_dir()


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: damaged; remove the folder {path.parent} and train again") from error


def _weights_digest(source: str) -> str:
    """The hash of a local model's weights; the id of one on the Hub."""
    if not Path(source).is_dir():
        return source
    seen = hashlib.sha256()
    for path in sorted(Path(source).glob("*.safetensors")):
        seen.update(path.read_bytes())
    return f"sha256:{seen.hexdigest()}"
