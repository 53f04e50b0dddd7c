"""A run that is killed at any of its file operations, and given again."""

import json
import os

import pytest

from hf_ntg.files import write_text
from hf_ntg.training.config import TrainingConfig
from hf_ntg.training.run_folder import open_run_folder, run_identity
from hf_ntg.training.run_start import decide_start

OLD = ("model_index.json", "unet/config.json", "unet/model.safetensors", "README.md")
NEW = ("model.safetensors", "config.json", "training_run.json")
CHANGES = ("mkdir", "rename", "replace", "unlink", "remove", "rmdir", "open")
EPOCHS = 2


class Killed(BaseException):
    """The end of the process: nothing it does afterwards has an effect."""


class Life:
    """Counts the changes of files, and allows so many of them."""

    def __init__(self, monkeypatch, changes):
        self.left = changes
        for name in CHANGES:
            monkeypatch.setattr(os, name, self._guarded(getattr(os, name), name))

    def _guarded(self, change, name):
        def guarded(*args, **options):
            if name != "open" or (len(args) > 1 and args[1] & os.O_CREAT):
                self.left -= 1
                if self.left < 0:
                    raise Killed
            return change(*args, **options)

        return guarded


def run(folder, overwrite):
    """What training does with its files, without the training."""
    config = TrainingConfig(output_dir="model", overwrite=overwrite)
    identity = run_identity(config, "flows", 1)
    with open_run_folder(folder) as place:
        start = decide_start(place, config, identity)
        if start.history is not None:
            return
        for epoch in range(start.epoch + 1, EPOCHS + 1):
            (place.work / f"epoch-{epoch - 1}.safetensors").unlink(missing_ok=True)
            write_text(place.work / f"epoch-{epoch}.safetensors", str(epoch))
        with place.placing_model() as part:
            for name in NEW:
                write_text(part / name, json.dumps({"identity": identity, "history": [{"loss": 1.0}]}))


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_text() if path.is_file() else None for path in folder.rglob("*")
    }


def old_model(folder):
    for name in OLD:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


@pytest.mark.parametrize("over", ["a model", "nothing"])
def test_a_run_that_is_killed_at_any_change_of_a_file_ends_like_an_undisturbed_one(tmp_path, over):
    def prepared(name):
        return old_model(tmp_path / name) if over == "a model" else tmp_path / name

    overwrite, changes = over == "a model", 0
    run(prepared("whole"), overwrite)
    wanted = contents(tmp_path / "whole")
    assert sorted(wanted) == sorted(NEW)
    while True:
        folder = prepared(f"cut-{changes}")
        with pytest.MonkeyPatch.context() as patch:
            life = Life(patch, changes)
            try:
                run(folder, overwrite)
            except Killed:
                pass
            else:
                break
        run(folder, overwrite)
        assert contents(folder) == wanted, changes
        changes += 1
    assert changes > 30
    assert life.left == 0
