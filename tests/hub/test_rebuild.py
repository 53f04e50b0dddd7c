"""A published model is written anew: nothing that its files do not need goes along."""

import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from hf_ntg import FlowGenerator, InputError
from hf_ntg.hub.rebuild import rebuild_model
from hf_ntg.models.baselines import BASELINE_FILE, make_baseline


@pytest.fixture
def model(tiny_gpt2, tmp_path):
    return shutil.copytree(tiny_gpt2, tmp_path / "model")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "new").mkdir()
    return tmp_path / "new"


def test_the_same_flows_come_out(tiny_unet, model, folder, tmp_path):
    assert rebuild_model(model, folder) == []
    made = [FlowGenerator.from_pretrained(one).generate(30, seed=1).to_dict() for one in (model, folder)]
    assert made[0] == made[1]
    (tmp_path / "unet").mkdir()
    assert rebuild_model(tiny_unet, tmp_path / "unet") == []
    assert len(FlowGenerator.from_pretrained(tmp_path / "unet").generate(3, num_inference_steps=1)) == 3


def test_what_rides_along_is_gone(model, folder):
    tensors = load_file(model / "model.safetensors")
    save_file(tensors, model / "model.safetensors", {"format": "pt", "note": "from the lab of X"})
    picture, note = Image.new("RGB", (2, 2)), PngImagePlugin.PngInfo()
    note.add_text("Comment", "from the lab of X")
    picture.save(model / "packets.png", pnginfo=note)
    (model / "notes.md").write_text("from the lab of X")
    (model / "weights.pt").write_bytes(b"\x80\x04")
    assert rebuild_model(model, folder) == ["notes.md", "weights.pt"]
    assert not any(b"lab of X" in path.read_bytes() for path in folder.rglob("*") if path.is_file())
    with safe_open(folder / "model.safetensors", "numpy") as file:
        assert file.metadata() == {"format": "pt"}
        assert all(np.array_equal(file.get_tensor(name), value) for name, value in tensors.items())


def test_a_key_twice_is_refused(model, folder):
    text = (model / "training_config.json").read_text()
    (model / "training_config.json").write_text(text.replace("{", '{"model": "/home/me/x",', 1))
    with pytest.raises(InputError, match="training_config"):
        rebuild_model(model, folder)


def test_a_link_is_not_followed(model, folder, tmp_path):
    (tmp_path / "own.json").write_text(json.dumps({"name": "private"}))
    (model / "training_data.json").symlink_to(tmp_path / "own.json")
    with pytest.raises(InputError, match="a link, not a file"):
        rebuild_model(model, folder)


def test_a_snapshot_of_the_hubs_cache_may_be_published(tiny_gpt2, folder, tmp_path):
    repository = tmp_path / "models--org--tiny"
    snapshot = repository / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    for number, path in enumerate(sorted(tiny_gpt2.glob("*.*"))):
        shutil.copy(path, repository / "blobs" / str(number))
        (snapshot / path.name).symlink_to(f"../../blobs/{number}")
    assert rebuild_model(snapshot, folder) == []


def test_a_baseline_stays_at_home(flows, folder, tmp_path):
    (tmp_path / "replay").mkdir()
    make_baseline("replay").fit(flows).save(tmp_path / "replay" / BASELINE_FILE)
    with pytest.raises(InputError, match="hold training flows"):
        rebuild_model(tmp_path / "replay", folder)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("training_run.json", '{"flows": 1}', "has no"),
        ("training_run.json", '{"a": ' * 50 + "1" + "}" * 50, "nested more than 20 levels"),
        ("training_run.json", '{"note": "\\ud800"}', "surrogate"),
        ("training_config.json", '{"epochs": [1, 2]}', "not a setting of a training"),
        ("training_config.json", '{"Key of another": 1}', "not a setting of a training"),
        ("training_data.json", '{"name": 5}', "name 5 is not possible"),
        ("evaluation.json", '{"metrics": {}}', "has no"),
    ],
)
def test_a_description_that_training_did_not_write_is_refused(tiny_gpt2, tmp_path, name, text, said):
    model = shutil.copytree(tiny_gpt2, tmp_path / "model")
    (model / name).write_text(text)
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match=said):
        rebuild_model(model, tmp_path / "out")


def test_a_pipe_in_the_place_of_a_file_is_refused(tiny_gpt2, tmp_path):
    model = shutil.copytree(tiny_gpt2, tmp_path / "model")
    os.mkfifo(model / "packets.png")
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="not a file"):
        rebuild_model(model, tmp_path / "out")
