"""Loading of a sampler from a model folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from hf_ntg.errors import InputError
from hf_ntg.generation.sampler import Sampler
from hf_ntg.model_files import check_model_folder
from hf_ntg.models.baselines import BASELINE_FILE, load_baseline

if TYPE_CHECKING:
    import torch

__all__ = ["load_sampler"]


def load_sampler(folder: Path, device: str | torch.device = "cpu") -> Sampler:
    """Load the sampler of a model folder: a causal model, a diffusion pipeline or a baseline.

    Args:
        device: where a learned model draws. Baselines always use the CPU.

    Raises:
        InputError: the folder holds no model or a damaged one, or there is no such device.
    """
    kind, device = check_model_folder(folder), _usable(device)
    try:
        if kind == "baseline":
            return load_baseline(folder / BASELINE_FILE)
        return _load_causal(folder, device) if kind == "causal" else _load_diffusion(folder, device)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError) as error:
        if isinstance(error, InputError):
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{folder}: the model is damaged or incomplete ({reason}); fetch or train it again") from error


def _usable(device: str | torch.device) -> torch.device:
    """The device, after a test that it can be used."""
    import torch

    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device {device}: not available here ({reason}); 'cpu' always is") from error


def _load_causal(folder: Path, device: torch.device) -> Sampler:
    from hf_ntg.codecs.flow_grammar import FlowGrammar
    from hf_ntg.codecs.tokenization_flow import FlowTokenizer
    from hf_ntg.generation.causal import CausalSampler
    from hf_ntg.models.causal_lm import load_causal_lm

    grammar = json.loads((folder / "flow_grammar.json").read_text(encoding="utf-8"))
    tokenizer = FlowTokenizer.from_format(FlowGrammar.from_dict(grammar))
    model = load_causal_lm(folder)
    model.to(device)  # type: ignore[arg-type] # transformers wraps the method and loses its types
    return CausalSampler(model, tokenizer)


def _load_diffusion(folder: Path, device: torch.device) -> Sampler:
    from hf_ntg.generation.diffusion import DiffusionSampler
    from hf_ntg.models.pipeline_flow_diffusion import FlowDiffusionPipeline

    pipeline = FlowDiffusionPipeline.from_pretrained(folder).to(device)
    steps = pipeline.config["num_inference_steps"]
    pipeline.scheduler.set_timesteps(steps)  # incompatible settings fail here
    return DiffusionSampler(pipeline)
