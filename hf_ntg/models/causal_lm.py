"""Causal language models of flow sentences: presets of 1-2 million parameters over stock transformers classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig, PreTrainedModel

from hf_ntg.codecs.tokenization_flow import FlowTokenizer
from hf_ntg.errors import InputError
from hf_ntg.model_files import check_model_folder, model_folder
from hf_ntg.model_files.causal import SIZE_FIELDS

__all__ = ["CAUSAL_FAMILIES", "build_causal_lm", "load_causal_lm"]

WIDTH = 128

# Family to the architecture's own configuration: about 1.2 million parameters each with 3,000 tokens.
_PRESETS: dict[str, dict[str, Any]] = {
    # The same function as GPT-2's own "gelu_new", in one operation instead of six.
    "gpt2": {"n_embd": WIDTH, "n_layer": 4, "n_head": 4, "activation_function": "gelu_pytorch_tanh"},
    "llama": {
        "hidden_size": WIDTH,
        "intermediate_size": 352,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0},
        "tie_word_embeddings": True,
    },
    "mamba": {"hidden_size": WIDTH, "num_hidden_layers": 6, "state_size": 8, "expand": 2, "tie_word_embeddings": True},
}
CAUSAL_FAMILIES = tuple(_PRESETS)
# Modules whose output gets dropout: the one after the embedding, and the last layer of every residual branch.
_LAST_LAYERS = {
    "gpt2": {"drop", "c_proj"},
    "llama": {"embed_tokens", "o_proj", "down_proj"},
    "mamba": {"embeddings", "out_proj"},
}


def build_causal_lm(
    family: str,
    tokenizer: FlowTokenizer,
    dropout: float = 0.0,
    seed: int = 0,
    width: int | None = None,
    layers: int | None = None,
) -> PreTrainedModel:
    """A fresh model of `family` (``gpt2``, ``llama``, ``mamba``) for the sentences of `tokenizer`.

    Args:
        dropout: of embeddings and residual branches. Hooks apply it, in the same way for all families; they are not
            saved.
        seed: of the initial weights.
        width, layers: sizes in place of the family's preset; a width is a multiple of 8.

    Raises:
        InputError: there is no such family, or the width does not fit.
    """
    if family not in _PRESETS:
        raise InputError(f"no causal model called {family!r}; choose one of {', '.join(CAUSAL_FAMILIES)}")
    positions = tokenizer.grammar.max_tokens
    options = _PRESETS[family] | _sizes(family, width, layers)
    if family == "gpt2":
        options |= {"n_positions": positions, "embd_pdrop": 0.0, "attn_pdrop": 0.0, "resid_pdrop": 0.0}
    elif family == "llama":
        options |= {"max_position_embeddings": positions}
    config = AutoConfig.for_model(
        family,
        vocab_size=len(tokenizer),
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **options,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    if dropout:
        _add_dropout(model, dropout)
    model.generation_config = GenerationConfig(
        do_sample=True,
        top_k=0,  # the stock default samples from the 50 most likely tokens only
        max_length=positions,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return _with_fast_scan(model)


def _sizes(family: str, width: int | None, layers: int | None) -> dict[str, int]:
    """The settings of a family that differ from its preset for another width or number of layers."""
    if width is not None and width % 8:
        raise InputError(f"width {width}: give a multiple of 8")
    found = {name: value for name, value in zip(SIZE_FIELDS[family], (width, layers), strict=True) if value is not None}
    if family == "llama" and width is not None:
        found["intermediate_size"] = _PRESETS["llama"]["intermediate_size"] * width // WIDTH
    return found


def _add_dropout(model: PreTrainedModel, share: float) -> None:
    """Dropout in training on the outputs of the embedding and of the last projection of every residual branch."""

    def drop(module: nn.Module, _, output: Tensor) -> Tensor:
        return _dropped(output, share) if module.training else output

    for name, module in model.base_model.named_modules():
        if name.rsplit(".", 1)[-1] in _LAST_LAYERS[model.config.model_type]:
            module.register_forward_hook(drop)


def _dropped(x: Tensor, share: float) -> Tensor:
    """Apply dropout to `x`, with a share rounded to 1/256.

    PyTorch draws one random number per element, which takes a tenth of a training step on a CPU. Here an element uses
    one byte of a 64-bit number.
    """
    if x.device.type != "cpu":
        return F.dropout(x, share)
    threshold = round(256 * share)
    numbers = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
    kept = numbers.view(torch.uint8)[: x.numel()].view(x.shape) >= threshold
    return x * kept.to(x.dtype).mul_(256 / (256 - threshold))


def load_causal_lm(source: str | Path, **hub: Any) -> PreTrainedModel:
    """Load a saved model from a folder or a Hub id (`hub`: ``revision``, ``token``), ready to sample from.

    Raises:
        InputError: there is no such model, or its folder does not pass :func:`hf_ntg.model_files.check_model_folder`.
    """
    folder = model_folder(source, **hub)
    if check_model_folder(folder) != "causal":
        raise InputError(f"{source}: a diffusion model, where a causal model is needed")
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    attention = "eager" if config.model_type == "mamba" else "sdpa"
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        config=config,
        dtype=torch.float32,
        attn_implementation=attention,
        trust_remote_code=False,
        use_safetensors=True,
        local_files_only=True,
    )
    return _with_fast_scan(model).eval()


def _with_fast_scan(model: PreTrainedModel) -> PreTrainedModel:
    """`model`; if it is a Mamba, with the fast scan in its mixers."""
    if model.config.model_type == "mamba":
        from hf_ntg.models.mamba_scan import use_fast_scan

        return use_fast_scan(model)
    return model
