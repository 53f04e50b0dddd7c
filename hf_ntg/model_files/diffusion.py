"""The folder of a diffusion model: pipeline, scheduler, processor and UNet, and whether they agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hf_ntg.codecs.packet_codes import CODE_WIDTH, FIRST_SYMBOL, PACKET_FORMS
from hf_ntg.constants import PACKET_VIEWS, PREDICTION_TYPES
from hf_ntg.flows.schema import MAX_PAYLOAD
from hf_ntg.model_files.fields import (
    MAX_PACKETS,
    NAME,
    Rule,
    ascending,
    check_fields,
    codec_rules,
    complain,
    counts,
    flag,
    list_of,
    optional,
    read_object,
    whole_numbers,
)
from hf_ntg.model_files.weights import Shapes, check_weights
from hf_ntg.ranges import Range

__all__ = ["MAX_STEPS", "SCHEDULER_CLASSES", "check_diffusion_folder"]

MAX_STEPS = 1_000
SCHEDULER_CLASSES = (
    "DDIMScheduler",
    "DDPMScheduler",
    "DEISMultistepScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "EulerAncestralDiscreteScheduler",
    "EulerDiscreteScheduler",
    "FlowMatchEulerDiscreteScheduler",
    "HeunDiscreteScheduler",
    "LMSDiscreteScheduler",
    "PNDMScheduler",
    "UniPCMultistepScheduler",
)
_PREDICTIONS = (*PREDICTION_TYPES, "flow_prediction")  # the last is what schedulers of flow matching call it
_COLUMNS = 3  # of the UNet's signal, see hf_ntg.models.flow_denoiser
_SHARE, _WORDS = Range(0, 1), Range(0, 65_535, whole=True)
_SCHEDULER: dict[str, Rule] = {
    "num_train_timesteps": Range(1, 10_000, whole=True),
    "solver_order": Range(1, 3, whole=True),
    "beta_start": _SHARE,
    "beta_end": _SHARE,
    "trained_betas": (None,),
    "beta_schedule": ("linear", "scaled_linear", "squaredcos_cap_v2"),
    "timestep_spacing": ("linspace", "leading", "trailing"),
    "prediction_type": _PREDICTIONS,
    "algorithm_type": ("dpmsolver", "dpmsolver++", "sde-dpmsolver", "sde-dpmsolver++", "deis"),
    "solver_type": ("midpoint", "heun", "bh1", "bh2", "logrho"),
    "final_sigmas_type": ("zero", "sigma_min"),
    "time_shift_type": ("exponential", "linear"),
    "interpolation_type": ("linear", "log_linear"),
    "timestep_type": ("discrete", "continuous"),
    "variance_type": (
        None,
        "fixed_small",
        "fixed_small_log",
        "fixed_large",
        "fixed_large_log",
        "learned",
        "learned_range",
    ),
    "solver_p": (None,),
    "disable_corrector": list_of(Range(0, MAX_STEPS, whole=True), most=MAX_STEPS),
    "shift_terminal": (None,),
    "sigma_min": optional(Range(0, 1e5)),
    "sigma_max": optional(Range(0, 1e5)),
    "lambda_min_clipped": lambda value: value == float("-inf") or _is_setting(value),
}
_UNET: dict[str, Rule] = {
    "_class_name": ("UNet1DModel",),
    "sample_size": (_COLUMNS,),
    "act_fn": ("silu",),
    "block_out_channels": list_of(Range(8, 4_096, whole=True), 1),
    "down_block_types": list_of(("DownResnetBlock1D",), 1),
    "mid_block_type": ("MidResTemporalBlock1D",),
    "up_block_types": list_of(("UpResnetBlock1D",), 1),
    "out_block_type": ("OutConv1DBlock",),
    "layers_per_block": (0,),
    "time_embedding_type": ("positional",),
    "use_timestep_embedding": (True,),
    "flip_sin_to_cos": (True,),
}
_UNET_OTHERS: dict[str, Rule] = {
    "_diffusers_version": NAME,
    "extra_in_channels": (0,),
    "freq_shift": (0.0, 0),
    "norm_num_groups": (8,),
}


def check_diffusion_folder(folder: Path) -> None:
    """Check every file of a diffusion model.

    Raises:
        InputError: a file is missing or damaged, or two of them disagree.
    """
    scheduler = read_object(folder / "scheduler" / "scheduler_config.json")
    _check_index(folder / "model_index.json", scheduler.get("_class_name"))
    _check_scheduler(folder / "scheduler" / "scheduler_config.json", scheduler)
    path = folder / "processor" / "preprocessor_config.json"
    processor = read_object(path)
    _check_processor(path, processor)
    path = folder / "unet" / "config.json"
    config = read_object(path)
    inputs, outputs = _channels(processor)
    check_fields(path, config, {**_UNET, "in_channels": (inputs,), "out_channels": (outputs,)}, _UNET_OTHERS)
    width = config["block_out_channels"][0]
    if width % 8:
        raise complain(path, f"block_out_channels {width} is no multiple of 8")
    check_weights(folder / "unet" / "diffusion_pytorch_model.safetensors", _shapes(width, inputs, outputs))


def _check_index(path: Path, scheduler: Any) -> None:
    """Check the pipeline's own settings and the classes of its parts."""
    if not isinstance(scheduler, str) or scheduler not in SCHEDULER_CLASSES:
        raise complain(path, f"{ascii(scheduler)[:60]} is no scheduler for flows")
    parts: dict[str, Rule] = {
        "_class_name": ("FlowDiffusionPipeline",),
        "unet": _is_pair("diffusers", "UNet1DModel"),
        "scheduler": _is_pair("diffusers", scheduler),
        "processor": _is_pair("hf_ntg.codecs.processing_flow_signal", "FlowSignalProcessor"),
    }
    others: dict[str, Rule] = {
        "_diffusers_version": NAME,
        "_name_or_path": NAME,
        "prediction_type": _PREDICTIONS[:4],
        "num_inference_steps": Range(1, MAX_STEPS, whole=True),
        "guidance_scale": Range(-1_000, 1_000),
    }
    check_fields(path, read_object(path), parts, others)


def _is_pair(library: str, name: str) -> Rule:
    return lambda value: value == [library, name]


def _check_scheduler(path: Path, found: dict[str, Any]) -> None:
    others = dict.fromkeys(found, _is_setting)
    check_fields(path, found, {"_class_name": SCHEDULER_CLASSES}, {**others, "_diffusers_version": NAME, **_SCHEDULER})


def _is_setting(value: Any) -> bool:
    """True or false, or a number of usual size; settings that may be words or null have rules of their own."""
    return isinstance(value, bool) or (isinstance(value, int | float) and Range(-1e5, 1e5).holds(value))


def _check_processor(path: Path, found: dict[str, Any]) -> None:
    """Check the fields of the signal processor, and that their sizes agree."""
    classes = len(found["labels"]) if isinstance(found.get("labels"), list) else 0
    packets = found.get("max_packets")
    if isinstance(packets, bool) or not isinstance(packets, int) or not 1 <= packets <= MAX_PACKETS:
        raise complain(path, f"max_packets {ascii(packets)[:40]} is not possible")
    headers = len(found["headers"]) if isinstance(found.get("headers"), list) else 0
    symbols = len(found["symbols"]) if isinstance(found.get("symbols"), list) else 0
    last_word = Range(0, symbols + FIRST_SYMBOL - 1, whole=True)

    def cells(rule: Rule) -> Rule:
        return list_of(list_of(rule, packets), classes)

    pair = list_of(Range(0, 10**15, whole=True), 2)
    ranks = optional(cells(ascending(-10, 10)))
    needed: dict[str, Rule] = {
        **codec_rules(found),
        "packet_form": PACKET_FORMS,
        "time_knots": optional(cells(lambda value: bool(value) and ascending(-100, 100)(value))),
        "windows": flag,
        "symbols": list_of(Range(0, 2 * MAX_PAYLOAD + 1, whole=True), most=65_535 - FIRST_SYMBOL),
        "word_counts": cells(list_of(lambda value: pair(value) and last_word.holds(value[0]))),
        "class_lengths": list_of(lambda value: bool(value) and whole_numbers(0, MAX_PAYLOAD)(value), classes),
        "headers": list_of(lambda value: list_of(Range(-2, 65_535, whole=True), 2)(value), most=100_000),
        "header_counts": list_of(counts(headers), classes) if headers else list_of(flag, 0),
    }
    others: dict[str, Rule] = {
        "feature_extractor_type": ("FlowSignalProcessor",),
        "processor_class": ("FlowSignalProcessor",),
        "view": PACKET_VIEWS,
        "drawn_ranks": ranks,
        "training_ranks": ranks,
    }
    check_fields(path, found, needed, others)
    if len(set(found["symbols"])) != symbols or (symbols and found["packet_form"] != "codes"):
        raise complain(path, "a packet symbol has two code words, or none are needed")
    if (found.get("drawn_ranks") is None) != (found.get("training_ranks") is None):
        raise complain(path, "drawn_ranks and training_ranks come together")


def _channels(processor: dict[str, Any]) -> tuple[int, int]:
    """Input and output channels of the UNet for a processor, as hf_ntg.models.flow_denoiser lays them out."""
    coded = processor["packet_form"] == "codes"
    others = (1 if coded else 3) + (processor["time_knots"] is not None) + processor["windows"]
    group = -(-processor["max_packets"] // _COLUMNS)
    words = FIRST_SYMBOL + len(processor["symbols"]) if coded else 0
    condition = CODE_WIDTH * (2 if processor["headers"] else 1) + _COLUMNS
    return group * (others + (CODE_WIDTH if coded else 0)) + condition, group * (others + words)


def _shapes(width: int, inputs: int, outputs: int) -> Shapes:
    """The tensors of the UNet: one residual block down, in the middle and up, each of five taps."""
    return {
        **_layer("time_mlp.linear_1", 4 * width, width),
        **_layer("time_mlp.linear_2", width, 4 * width),
        **_residual("down_blocks.0.resnets.0", width, inputs),
        **_residual("mid_block.resnets.0", width, width),
        **_residual("up_blocks.0.resnets.0", width, 2 * width),
        **_layer("out_block.final_conv1d_1", width, width, 5),
        **_layer("out_block.final_conv1d_gn", width),
        **_layer("out_block.final_conv1d_2", outputs, width, 1),
    }


def _residual(name: str, width: int, inputs: int) -> Shapes:
    shapes = {
        **_layer(f"{name}.conv_in.conv1d", width, inputs, 5),
        **_layer(f"{name}.conv_in.group_norm", width),
        **_layer(f"{name}.conv_out.conv1d", width, width, 5),
        **_layer(f"{name}.conv_out.group_norm", width),
        **_layer(f"{name}.time_emb", width, width),
    }
    return shapes if inputs == width else {**shapes, **_layer(f"{name}.residual_conv", width, inputs, 1)}


def _layer(name: str, *shape: int) -> Shapes:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
