"""The folder of a causal model: settings, grammar, tokenizer and weights, and whether they agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hf_ntg.codecs.flow_grammar import FlowGrammar
from hf_ntg.codecs.time_bins import PARTS
from hf_ntg.constants import PACKET_VIEWS
from hf_ntg.flows.schema import MAX_PAYLOAD
from hf_ntg.model_files.fields import (
    NAME,
    Rule,
    ascending,
    check_fields,
    codec_rules,
    complain,
    flag,
    list_of,
    optional,
    read_object,
    whole_numbers,
)
from hf_ntg.model_files.tokenizer import check_tokenizer
from hf_ntg.model_files.weights import Shapes, check_weights
from hf_ntg.ranges import Range

__all__ = ["SIZE_FIELDS", "check_causal_folder"]

SIZE_FIELDS = {
    "gpt2": ("n_embd", "n_layer"),
    "llama": ("hidden_size", "num_hidden_layers"),
    "mamba": ("hidden_size", "num_hidden_layers"),
}
"""Names of width and number of layers in the configuration of each family."""

MAX_TIME_BINS = 10_000
_SHARE, _WIDTH, _LAYERS = Range(0, 1), Range(1, 8_192, whole=True), Range(1, 64, whole=True)
_SMALL = Range(0, 1, above=True)
_ACTIVATIONS = ("gelu_pytorch_tanh", "gelu_new", "gelu", "silu", "relu")
_EVERY: dict[str, Rule] = {
    "architectures": list_of(("GPT2LMHeadModel", "LlamaForCausalLM", "MambaForCausalLM"), 1),
    "bos_token_id": (None,),
    "dtype": ("float32",),
    "torch_dtype": ("float32",),
    "initializer_range": _SHARE,
    "tie_word_embeddings": (True,),
    "transformers_version": NAME,
    "use_cache": flag,
}
_FAMILIES: dict[str, tuple[dict[str, Rule], dict[str, Rule]]] = {
    "gpt2": (
        {"n_embd": _WIDTH, "n_head": _LAYERS, "n_layer": _LAYERS},
        {
            "activation_function": _ACTIVATIONS,
            "n_inner": optional(Range(1, 65_536, whole=True)),
            "n_ctx": Range(1, 100_000, whole=True),
            "attn_pdrop": _SHARE,
            "embd_pdrop": _SHARE,
            "resid_pdrop": _SHARE,
            "layer_norm_epsilon": _SMALL,
            "scale_attn_weights": (True,),
            "summary_first_dropout": _SHARE,
            "summary_proj_to_labels": flag,
            "summary_type": ("cls_index",),
            "summary_use_proj": flag,
        },
    ),
    "llama": (
        {
            "hidden_size": _WIDTH,
            "intermediate_size": Range(1, 65_536, whole=True),
            "num_attention_heads": _LAYERS,
            "num_hidden_layers": _LAYERS,
            "num_key_value_heads": _LAYERS,
        },
        {
            "attention_dropout": _SHARE,
            "head_dim": optional(_WIDTH),
            "hidden_act": _ACTIVATIONS,
            "pretraining_tp": (1,),
            "rms_norm_eps": _SMALL,
            "rope_theta": Range(1, 1e9),
            "rope_parameters": lambda value: _is_plain_rope(value),
        },
    ),
    "mamba": (
        {
            "hidden_size": _WIDTH,
            "num_hidden_layers": _LAYERS,
            "state_size": Range(1, 1_024, whole=True),
            "conv_kernel": Range(2, 64, whole=True),
            "intermediate_size": Range(1, 65_536, whole=True),
            "time_step_rank": Range(1, 8_192, whole=True),
        },
        {
            "expand": Range(1, 64),
            "hidden_act": _ACTIVATIONS,
            "layer_norm_epsilon": _SMALL,
            "residual_in_fp32": flag,
            "time_step_floor": _SHARE,
            "time_step_init_scheme": ("random", "constant"),
            "time_step_max": _SHARE,
            "time_step_min": _SHARE,
            "time_step_scale": Range(0, 100),
            "use_associative_scan": flag,
            "use_conv_bias": (True,),
        },
    ),
}
_POSITIONS = {"gpt2": "n_positions", "llama": "max_position_embeddings"}
_GENERATION: dict[str, Rule] = {
    "do_sample": flag,
    "top_k": Range(0, 10**6, whole=True),
    "max_length": Range(1, 100_000, whole=True),
    "transformers_version": NAME,
    "temperature": Range(0, 1e6),
    "top_p": _SHARE,
    "use_cache": flag,
    "_from_model_config": flag,
}


def check_causal_folder(folder: Path) -> None:
    """Check every file of a causal model.

    Raises:
        InputError: a file is missing or damaged, or two of them disagree.
    """
    grammar = _read_grammar(folder / "flow_grammar.json")
    path = folder / "config.json"
    config = read_object(path)
    family = config.get("model_type")
    if not isinstance(family, str) or family not in _FAMILIES:
        raise complain(path, f"model_type {ascii(family)[:40]} is none of {', '.join(_FAMILIES)}")
    words = grammar.words()
    tokens: dict[str, Rule] = {"eos_token_id": (grammar.eos,), "pad_token_id": (0,)}
    needed, others = _FAMILIES[family]
    agreed = {"model_type": (family,), "vocab_size": (len(words),), **tokens}
    if family in _POSITIONS:
        agreed[_POSITIONS[family]] = (grammar.max_tokens,)
    check_fields(path, config, {**needed, **agreed}, {**_EVERY, **others})
    check_weights(folder / "model.safetensors", *_shapes(path, family, config, len(words)))
    if (folder / "generation_config.json").exists():
        path = folder / "generation_config.json"
        check_fields(path, read_object(path), {}, {**_GENERATION, **tokens})
    check_tokenizer(folder, grammar, words)


def _read_grammar(path: Path) -> FlowGrammar:
    """Read the grammar, once its fields obey their rules and agree."""
    found = read_object(path)
    rules: dict[str, Rule] = {
        **codec_rules(found),
        "extra_lengths": whole_numbers(1, MAX_PAYLOAD),
        "protocols": whole_numbers(-2, 255),
        "ports": whole_numbers(-1, 65_535),
        "time_knots": ascending(1e-30, 1e12),
    }
    check_fields(path, found, rules, {"view": PACKET_VIEWS})
    if found["extra_lengths"] and found["extra_lengths"][0] <= found["max_payload"]:
        raise complain(path, "extra_lengths begin below max_payload")
    if len(found["time_knots"]) % (PARTS + 1) or len(found["time_knots"]) > MAX_TIME_BINS * (PARTS + 1):
        raise complain(path, f"{len(found['time_knots'])} time_knots are no whole number of bins")
    if found["ports"] and not found["protocols"]:
        raise complain(path, "ports without protocols")
    try:
        return FlowGrammar.from_dict(found)
    except (ValueError, TypeError) as error:
        raise complain(path, str(error).splitlines()[0]) from error


def _is_plain_rope(value: Any) -> bool:
    if not isinstance(value, dict) or not value.keys() <= {"rope_type", "rope_theta"}:
        return False
    theta = value.get("rope_theta", 10_000.0)
    number = isinstance(theta, int | float) and not isinstance(theta, bool)
    return value.get("rope_type", "default") == "default" and number and Range(1, 1e9).holds(theta)


def _shapes(path: Path, family: str, config: dict[str, Any], vocabulary: int) -> tuple[Shapes, Shapes]:
    """The tensors that a family's settings imply, and those that may be there besides."""
    shapes = {"gpt2": _gpt2, "llama": _llama, "mamba": _mamba}[family](path, config, vocabulary)
    width = config["n_embd" if family == "gpt2" else "hidden_size"]
    return shapes, {"lm_head.weight": (vocabulary, width)}


def _gpt2(path: Path, config: dict[str, Any], vocabulary: int) -> Shapes:
    """Names and shapes of a GPT-2's tensors."""
    width, inner = config["n_embd"], config.get("n_inner") or 4 * config["n_embd"]
    if width % config["n_head"]:
        raise complain(path, f"n_embd {width} is no multiple of n_head {config['n_head']}")
    block: Shapes = {
        **_norm("ln_1", width),
        "attn.c_attn.weight": (width, 3 * width),
        "attn.c_attn.bias": (3 * width,),
        "attn.c_proj.weight": (width, width),
        "attn.c_proj.bias": (width,),
        **_norm("ln_2", width),
        "mlp.c_fc.weight": (width, inner),
        "mlp.c_fc.bias": (inner,),
        "mlp.c_proj.weight": (inner, width),
        "mlp.c_proj.bias": (width,),
    }
    return {
        "transformer.wte.weight": (vocabulary, width),
        "transformer.wpe.weight": (config["n_positions"], width),
        **_repeated("transformer.h", config["n_layer"], block),
        **_norm("transformer.ln_f", width),
    }


def _llama(path: Path, config: dict[str, Any], vocabulary: int) -> Shapes:
    """Names and shapes of a LLaMA's tensors."""
    width, inner, heads = config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
    groups = config["num_key_value_heads"]
    size = config.get("head_dim") or width // heads
    if heads % groups or size % 2:
        raise complain(path, f"{heads} attention heads of {size} with {groups} key heads are not possible")
    block: Shapes = {
        "input_layernorm.weight": (width,),
        "self_attn.q_proj.weight": (heads * size, width),
        "self_attn.k_proj.weight": (groups * size, width),
        "self_attn.v_proj.weight": (groups * size, width),
        "self_attn.o_proj.weight": (width, heads * size),
        "post_attention_layernorm.weight": (width,),
        "mlp.gate_proj.weight": (inner, width),
        "mlp.up_proj.weight": (inner, width),
        "mlp.down_proj.weight": (width, inner),
    }
    return {
        "model.embed_tokens.weight": (vocabulary, width),
        **_repeated("model.layers", config["num_hidden_layers"], block),
        "model.norm.weight": (width,),
    }


def _mamba(path: Path, config: dict[str, Any], vocabulary: int) -> Shapes:
    """Names and shapes of a Mamba's tensors."""
    width, inner, state = config["hidden_size"], config["intermediate_size"], config["state_size"]
    rank, taps = config["time_step_rank"], config["conv_kernel"]
    block: Shapes = {
        "norm.weight": (width,),
        "mixer.A_log": (inner, state),
        "mixer.D": (inner,),
        "mixer.conv1d.weight": (inner, 1, taps),
        "mixer.conv1d.bias": (inner,),
        "mixer.in_proj.weight": (2 * inner, width),
        "mixer.x_proj.weight": (rank + 2 * state, inner),
        "mixer.dt_proj.weight": (inner, rank),
        "mixer.dt_proj.bias": (inner,),
        "mixer.out_proj.weight": (width, inner),
    }
    return {
        "backbone.embeddings.weight": (vocabulary, width),
        **_repeated("backbone.layers", config["num_hidden_layers"], block),
        "backbone.norm_f.weight": (width,),
    }


def _repeated(name: str, layers: int, block: Shapes) -> Shapes:
    return {f"{name}.{layer}.{part}": shape for layer in range(layers) for part, shape in block.items()}


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}
