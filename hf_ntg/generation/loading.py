"""From a folder or a Hub id to the sampler that it holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hf_ntg.errors import InputError
from hf_ntg.generation.sampler import Sampler
from hf_ntg.models.baselines import BASELINE_FILE, load_baseline
from hf_ntg.remote import hub_in_words

if TYPE_CHECKING:
    import torch

__all__ = ["load_sampler", "model_folder"]


def load_sampler(folder: Path, device: str | torch.device = "cpu") -> Sampler:
    """Load the sampler of a model folder: a causal model, a diffusion pipeline or a baseline.

    Args:
        device: where a learned model draws. Baselines always use the CPU.

    Raises:
        InputError: the folder holds no model or a damaged one, or there is no such device.
    """
    from safetensors import SafetensorError

    if (folder / BASELINE_FILE).is_file():
        return load_baseline(folder / BASELINE_FILE)
    device = _usable(device)
    try:
        if (folder / "flow_grammar.json").is_file():
            return _load_causal(folder, device)
        if (folder / "model_index.json").is_file():
            return _load_diffusion(folder, device)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        if isinstance(error, InputError):
            raise
        reason = str(error).splitlines()[0]
        raise InputError(f"{folder}: the model is damaged or incomplete ({reason}); fetch or train it again") from error
    raise InputError(
        f"{folder}: no model of hf_ntg (holds neither flow_grammar.json nor model_index.json); train one by 'ntg train'"
    )


def model_folder(source: str | Path, *, revision: str | None = None, token: str | None = None) -> Path:
    """The local folder of a model: `source` itself, or the snapshot of it that is fetched from the Hub.

    Raises:
        InputError: there is no such folder, and the Hub has no such model or cannot be reached.
    """
    path = Path(source)
    if path.is_dir():
        return path
    name = str(source)
    if name.count("/") != 1 or name.startswith((".", "/")):
        raise InputError(f"{source}: no such folder, and not the id of a model on the Hub ('org/name')")
    from huggingface_hub import snapshot_download

    with hub_in_words(name, "model", "no such folder, and not to be had from the Hub: "):
        # Weights and settings alone: no other file of a repository is read, least of all a pickle.
        files = ["*.json", "*.safetensors"]
        return Path(snapshot_download(name, revision=revision, token=token, allow_patterns=files))


def _usable(device: str | torch.device) -> torch.device:
    """The device, once something has been put there."""
    import torch

    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device {device}: not to be had here ({reason}); 'cpu' always is") from error


def _load_causal(folder: Path, device: torch.device) -> Sampler:
    from hf_ntg.codecs.tokenization_flow import FlowTokenizer
    from hf_ntg.generation.causal import CausalSampler
    from hf_ntg.models.causal_lm import load_causal_lm

    return CausalSampler(load_causal_lm(folder).to(device), FlowTokenizer.from_pretrained(folder))


def _load_diffusion(folder: Path, device: torch.device) -> Sampler:
    from hf_ntg.generation.diffusion import DiffusionSampler
    from hf_ntg.models.pipeline_flow_diffusion import FlowDiffusionPipeline

    return DiffusionSampler(FlowDiffusionPipeline.from_pretrained(folder).to(device))
