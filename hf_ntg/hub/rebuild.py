"""The files of a published model, written anew from what the files of its folder say.

Nothing is copied as bytes. JSON is parsed and written again, so that repeated keys, comments and padding are gone; the
weights are read and written again, tensors alone; the picture is decoded and encoded again. Files that are not on the
list stay behind.
"""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.numpy import load_file, save_file

from hf_ntg.constants import RUN_FILE
from hf_ntg.errors import InputError
from hf_ntg.files import replacing, write_text
from hf_ntg.model_files import check_model_folder
from hf_ntg.model_files.descriptions import DESCRIPTIONS, read_description
from hf_ntg.model_files.fields import read_object

__all__ = ["rebuild_model"]

# By kind of model: files it must have, and files it may have.
_NEEDED = {
    "causal": ("flow_grammar.json", "config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"),
    "diffusion": (
        "model_index.json",
        "scheduler/scheduler_config.json",
        "processor/preprocessor_config.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
    ),
}
_MAX_PIXELS = 20_000_000
_OPTIONAL = (
    "generation_config.json",
    "training_config.json",
    RUN_FILE,
    "training_data.json",
    "evaluation.json",
    "packets.png",
)
# Files that training and tools leave in a model's folder, and the card, which is made anew: not reported.
_EXPECTED = ("README.md", "study.json", ".gitattributes", ".gitignore")
_EXPECTED_FOLDERS = ("checkpoints", "runs", "__pycache__", ".git", ".cache")


def rebuild_model(model: Path, folder: Path) -> list[str]:
    """Write the files of the model in folder `model` into the existing `folder`.

    Returns:
        Names of the files in `model` that stay behind and that neither training nor the usual tools write.

    Raises:
        InputError: the model is damaged, is a baseline (which holds training flows), or has a link in place of a file.
    """
    kind = check_model_folder(model)
    if kind not in _NEEDED:
        raise InputError(
            f"{model}: a baseline, which is not published; most hold training flows. Publish flows that it generates"
        )
    published = {name for name in (*_NEEDED[kind], *_OPTIONAL) if (model / name).exists()}
    for name in sorted(published):
        _write_again(_plain_file(model, name), folder / name)
    there = {path.relative_to(model).as_posix() for path in model.rglob("*") if path.is_symlink() or path.is_file()}
    return sorted(name for name in there - published if not _is_expected(name))


def _plain_file(model: Path, name: str) -> Path:
    """The file `name` of a model, which may be a link only where the Hub's cache keeps its files."""
    path = model / name
    parents = [model / part for part in Path(name).parents if part != Path()]
    if (path.is_symlink() and not _is_cached(path)) or any(parent.is_symlink() for parent in parents):
        raise InputError(f"{path}: a link, not a file; copy what it points to")
    if not path.is_file():
        raise InputError(f"{path}: not a file (a folder, a pipe or a device); remove it")
    return path


def _is_cached(link: Path) -> bool:
    """Whether `link` is in a snapshot of the Hub's cache and points to a blob of the same repository.

    The layout is models--ORGANISATION--NAME/{blobs/HASH,snapshots/COMMIT/FILE}.
    """
    for snapshot in link.absolute().parents:
        if snapshot.parent.name == "snapshots" and snapshot.parents[1].name.startswith("models--"):
            return link.resolve().parent == (snapshot.parents[1] / "blobs").resolve()
    return False


def _write_again(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix == ".json":
        found = (read_description if source.name in DESCRIPTIONS else read_object)(source)
        write_text(target, json.dumps(found, ensure_ascii=False, indent=2) + "\n")
    elif source.suffix == ".safetensors":
        with replacing(target) as scratch:
            save_file(load_file(source), scratch, {"format": "pt"})
    else:
        _encode_again(source, target)


def _encode_again(source: Path, target: Path) -> None:
    from PIL import Image

    try:
        with Image.open(source, formats=["PNG"]) as picture, replacing(target) as scratch:
            if picture.width * picture.height > _MAX_PIXELS:
                raise InputError(f"{source}: a picture of {picture.width} x {picture.height} points; remove it")
            pixels = picture.convert("RGB")
            pixels.info.clear()
            pixels.save(scratch, format="PNG")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{source}: not a readable PNG ({error}); remove it") from error


def _is_expected(name: str) -> bool:
    return name in _EXPECTED or Path(name).parts[0] in _EXPECTED_FOLDERS
