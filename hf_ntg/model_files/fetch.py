"""From a folder or a Hub id to a local folder with the files of a model, and nothing else of its repository."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from hf_ntg.constants import BUNDLED
from hf_ntg.errors import InputError
from hf_ntg.remote import hub_in_words

__all__ = ["MODEL_PATTERNS", "model_folder"]

# Weights and settings: no code and no pickle is fetched.
MODEL_PATTERNS = ("*.json", "*.safetensors")


def model_folder(source: str | Path, *, revision: str | None = None, token: str | None = None) -> Path:
    """The local folder of a model: `source` itself, or the snapshot of it that is fetched from the Hub.

    ``"loopback"`` is the model that the package brings: a GPT-2 that learned the bundled flows of that name.

    Raises:
        InputError: there is no such folder, and the Hub has no such model or cannot be reached.
    """
    path, name = Path(source), str(source)
    if name == BUNDLED:
        return Path(str(resources.files("hf_ntg") / "models" / "bundled" / BUNDLED))
    if path.is_dir():
        return path
    if name.count("/") != 1 or name.startswith((".", "/")):
        raise InputError(
            f"{source}: no such folder, and neither '{BUNDLED}' nor the id of a model on the Hub ('org/name')"
        )
    from huggingface_hub import snapshot_download

    with hub_in_words(name, "model", "no such folder, and the Hub gives no model of this name: "):
        return Path(snapshot_download(name, revision=revision, token=token, allow_patterns=list(MODEL_PATTERNS)))
