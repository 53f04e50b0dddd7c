"""check_model_folder: which kind of model a folder holds, and whether it can be trusted to load."""

from __future__ import annotations

from pathlib import Path

from hf_ntg.errors import InputError
from hf_ntg.files import os_error_in_words
from hf_ntg.model_files.causal import check_causal_folder
from hf_ntg.model_files.diffusion import check_diffusion_folder

__all__ = ["check_model_folder"]

# Files that libraries would follow to other files or to code.
_NEVER = ("*.index.json", "adapter_config.json", "*/*.index.json", "*/adapter_config.json", "quantization_config.json")
PLACING_FILE = Path("checkpoints") / "placing.json"  # there while a training puts its model into the folder


def check_model_folder(folder: Path) -> str:
    """Check everything in `folder` that is read when its model is loaded: ``causal``, ``diffusion`` or ``baseline``.

    Raises:
        InputError: it holds no model, two models, a part that is missing or damaged, parts that contradict each other,
            or something that only other software writes. The message is one line and names the file.
    """
    try:
        return _checked_kind(folder)
    except OSError as error:
        raise InputError(os_error_in_words(error, error.filename or folder)) from error


def _checked_kind(folder: Path) -> str:
    if (folder / "baseline.safetensors").is_file():
        return "baseline"  # its one file is checked where it is read, by hf_ntg.models.baselines
    kinds = {"causal": (folder / "flow_grammar.json").is_file(), "diffusion": (folder / "model_index.json").is_file()}
    if not any(kinds.values()):
        raise InputError(
            f"{folder}: no model of hf_ntg (holds neither flow_grammar.json nor model_index.json); "
            "train one by 'ntg train'"
        )
    if all(kinds.values()):
        raise InputError(
            f"{folder}: holds two models (flow_grammar.json and model_index.json); train again into a new folder"
        )
    if (folder / PLACING_FILE).is_file():
        raise InputError(f"{folder}: a training was killed while it put its model here; run its command again")
    for pattern in _NEVER:
        for path in folder.glob(pattern):
            raise InputError(f"{path}: not a file of an hf_ntg model; remove it, or fetch the model again")
    if kinds["causal"]:
        check_causal_folder(folder)
        return "causal"
    check_diffusion_folder(folder)
    return "diffusion"
