"""FlowDiffusionPipeline: a diffusers pipeline that generates labelled flows."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, concatenate_datasets
from diffusers.models import UNet1DModel
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from diffusers.utils import BaseOutput
from diffusers.utils.torch_utils import randn_tensor
from huggingface_hub import snapshot_download
from torch import Tensor
from tqdm.auto import tqdm

from hf_ntg.codecs.processing_flow_signal import FlowSignalProcessor
from hf_ntg.errors import InputError
from hf_ntg.files import write_text
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.model_files import check_model_folder
from hf_ntg.model_files.fetch import MODEL_PATTERNS
from hf_ntg.models.flow_denoiser import FlowCondition, FlowDenoiser, noise_target
from hf_ntg.models.schedulers import Scheduler, is_discrete, make_scheduler
from hf_ntg.models.short_unet import quicken

__all__ = ["FlowDiffusionPipeline", "FlowPipelineOutput"]

# Flows of a batch, always the same number, because the rounding in a batch depends on its size. 256 fit a CPU's cache.
FLOWS_PER_BLOCK = {"cpu": 256, "cuda": 4_096}
_HUB_OPTIONS = ("revision", "token", "cache_dir", "local_files_only", "force_download")


@dataclass
class FlowPipelineOutput(BaseOutput):
    """The result of a call of the pipeline.

    Attributes:
        flows: a ``datasets.Dataset`` in the flow schema; None for the output types ``pt`` and ``np``.
        signals: (N, C, W) clean signals; a tensor, or an array for the output type ``np``.
    """

    flows: Dataset | None
    signals: Tensor | np.ndarray


class FlowDiffusionPipeline(DiffusionPipeline):
    """Draws labelled flows with an unmodified ``UNet1DModel`` of diffusers.

    It is saved and loaded like every pipeline of diffusers. Its scheduler can be replaced by any other that diffuses in
    discrete steps (DDPM, DDIM, DPM-Solver++, Euler, …) or by flow matching, whatever the UNet was trained to predict.
    """

    unet: UNet1DModel
    scheduler: Scheduler
    processor: FlowSignalProcessor

    def __init__(
        self,
        unet: UNet1DModel,
        scheduler: SchedulerMixin,
        processor: FlowSignalProcessor,
        prediction_type: str = "v_prediction",
        num_inference_steps: int = 5,
        guidance_scale: float = 1.0,
    ) -> None:
        """Make a pipeline from its parts.

        Args:
            unet: the network. scheduler: the sampler. processor: decodes signals to flows.
            prediction_type: what the UNet predicts of a signal, one of ``PREDICTION_TYPES``; code words are classified.
            num_inference_steps, guidance_scale: defaults of a call.
        """
        super().__init__()
        self.register_modules(unet=unet, scheduler=scheduler, processor=processor)
        self.register_to_config(
            prediction_type=prediction_type,
            num_inference_steps=num_inference_steps,
            guidance_scale=guidance_scale,
        )
        self._denoiser = FlowDenoiser(quicken(unet), processor, prediction_type).eval()

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | PathLike, **options) -> FlowDiffusionPipeline:
        """Load a saved pipeline from a folder or a Hub id; `options` as diffusers takes them (``revision``, …).

        Raises:
            InputError: the folder does not pass :func:`hf_ntg.model_files.check_model_folder`.
        """
        source = pretrained_model_name_or_path
        if not Path(source).is_dir():
            # diffusers refuses components of other libraries from the Hub, but not from a folder; none has code.
            hub = {name: options.pop(name) for name in _HUB_OPTIONS if name in options}
            source = snapshot_download(str(source), allow_patterns=list(MODEL_PATTERNS), **hub)
        if check_model_folder(Path(source)) != "diffusion":
            raise InputError(f"{source}: a causal model, where a diffusion model is needed")
        safe = {"trust_remote_code": False, "use_safetensors": True, "local_files_only": True}
        return super().from_pretrained(source, **safe | options)

    def save_pretrained(self, save_directory: str | PathLike, *args: Any, **options: Any) -> None:
        """Save the pipeline as diffusers does, without the paths that its parts were loaded from."""
        super().save_pretrained(save_directory, *args, **options)
        for path in Path(save_directory).rglob("*.json"):
            found = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(found, dict) and found.pop("_name_or_path", None) is not None:
                write_text(path, json.dumps(found, indent=2, sort_keys=True) + "\n")

    @torch.no_grad()
    def __call__(
        self,
        class_labels: Sequence[str | None] | np.ndarray,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        generator: torch.Generator | None = None,
        output_type: str = "dataset",
        snap: bool = False,
    ) -> FlowPipelineOutput:
        """Draw one flow for each of `class_labels`, all in one batch.

        Args:
            class_labels: (N,) names of classes.
            num_inference_steps: steps of the scheduler.
            guidance_scale: weight of classifier-free guidance (Ho and Salimans, 2022). 1: none, at half the cost.
            generator: source of all random numbers. output_type: ``dataset``, ``pt`` or ``np``.
            snap: move payload lengths to the nearest that the training flows of the class have.

        Raises:
            InputError: the model does not know a class, or there is no such `output_type`.
        """
        if output_type not in ("dataset", "pt", "np"):
            raise InputError(f"output type {output_type!r}: choose one of dataset, pt, np")
        drawn = self._draw(class_labels, num_inference_steps, guidance_scale, generator, self.scheduler)
        if output_type == "pt":
            return FlowPipelineOutput(None, drawn.signals)
        if output_type == "np":
            return FlowPipelineOutput(None, drawn.signals.cpu().numpy())
        return FlowPipelineOutput(self._read(drawn, snap).to_dataset(), drawn.signals)

    @property
    def flows_per_block(self) -> int:
        """Number of flows in a batch of :meth:`draw_block` on the pipeline's device."""
        return FLOWS_PER_BLOCK.get(self.device.type, FLOWS_PER_BLOCK["cuda"])

    def generate_flows(
        self, labels: Sequence[str | None] | np.ndarray, seed: int = 0, *, progress: bool = False, **options
    ) -> Dataset:
        """Draw one flow for each of `labels`, in one data set; `options` as for :meth:`draw_block`."""
        blocks: list[Dataset] = []
        with tqdm(total=len(labels), unit="flow", desc="generating", disable=not progress) as bar:
            for start in range(0, len(labels), self.flows_per_block):
                flows = self.draw_block(labels[start : start + self.flows_per_block], seed, len(blocks), **options)
                names = np.array([f"synthetic-{start + i}" for i in range(len(flows))], dtype=object)
                blocks.append(replace(flows, flow_id=names).to_dataset())
                bar.update(len(flows))
        if not blocks:
            raise InputError("no flows asked for; give at least one label")
        return concatenate_datasets(blocks)

    def draw_block(
        self,
        labels: Sequence[str | None] | np.ndarray,
        seed: int,
        block: int,
        *,
        scheduler: str | None = None,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        snap: bool = False,
    ) -> FlowArrays:
        """Draw one flow for each of at most `flows_per_block` labels.

        Every block has its own random stream and batch. A flow depends only on `seed`, `block`, its place and
        its label, so several processes can share a request.

        Args:
            seed, block: name the random stream.
            scheduler: one of ``SCHEDULERS`` in place of the pipeline's own.
            num_inference_steps, guidance_scale, snap: as for a call of the pipeline.
        """
        missing = self.flows_per_block - len(labels)
        padded = np.concatenate(
            [np.array(labels, dtype=object), np.repeat(np.array(labels[-1:], dtype=object), missing)]
        )
        state = np.random.SeedSequence([seed, block]).generate_state(1, np.uint64)[0]
        generator = torch.Generator().manual_seed(int(state >> np.uint64(1)))
        own: Scheduler = self.scheduler if scheduler is None else make_scheduler(scheduler)
        drawn = self._draw(padded, num_inference_steps, guidance_scale, generator, own, quiet=True)
        return self._read(drawn, snap).take(np.arange(len(labels)))

    @torch.no_grad()
    def _draw(
        self,
        labels: Sequence[str | None] | np.ndarray,
        steps: int | None,
        guidance: float | None,
        generator: torch.Generator | None,
        scheduler: Scheduler,
        quiet: bool = False,
    ) -> _Drawn:
        """Denoise one batch of signals, with random numbers from `generator`."""
        steps = self.config["num_inference_steps"] if steps is None else steps
        guidance = self.config["guidance_scale"] if guidance is None else guidance
        classes = self.processor.places_of(np.array(labels, dtype=object))
        # One number from the generator seeds NumPy's draws of headers and ports.
        seed = int(torch.randint(2**62, (), generator=generator, device=generator.device if generator else None))
        headers = self.processor.draw_headers(classes, np.random.default_rng([seed, 0]))
        device = self._execution_device
        denoiser = self._denoiser.to(device)
        condition = denoiser.condition(torch.as_tensor(classes, device=device), torch.as_tensor(headers, device=device))
        nothing = torch.full((len(classes),), -1, device=device)
        blank = denoiser.condition(nothing, nothing) if guidance != 1 else None
        with _naming_settings(scheduler, steps):
            scheduler.set_timesteps(steps, device=device)
        shape = (len(classes), self.processor.num_channels, self.processor.max_packets)
        sample = randn_tensor(shape, generator, device, self.unet.dtype) * getattr(scheduler, "init_noise_sigma", 1.0)
        takes_generator = "generator" in inspect.signature(scheduler.step).parameters
        extra = {"generator": generator} if takes_generator else {}
        for timestep in scheduler.timesteps if quiet else self.progress_bar(scheduler.timesteps):
            noisy, angle = _at_unit_variance(scheduler, sample, timestep)
            clean = _guided(denoiser, noisy, angle, condition, blank, guidance)
            output = _model_output(scheduler, clean, noisy, angle)
            with _naming_settings(scheduler, steps):
                sample = scheduler.step(output, timestep, sample, **extra).prev_sample
        return _Drawn(sample / denoiser.scale, classes, headers, seed)

    def _read(self, drawn: _Drawn, snap: bool) -> FlowArrays:
        rng = np.random.default_rng([drawn.seed, 1])
        signals = drawn.signals.float().cpu().numpy()
        return self.processor.decode(signals, drawn.classes, drawn.headers, rng=rng, snap=snap)


@contextmanager
def _naming_settings(scheduler: Scheduler, steps: int) -> Iterator[None]:
    """Errors of the scheduler in the block say that its settings and the number of steps do not fit."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"the settings of {type(scheduler).__name__} do not allow {steps} steps ({reason}); choose another "
            "number of steps or another scheduler"
        ) from error


@dataclass(frozen=True)
class _Drawn:
    """A batch of clean signals (N, C, W), with their classes and headers (N,); `seed` is for the draws of ports."""

    signals: Tensor
    classes: np.ndarray
    headers: np.ndarray
    seed: int


def _at_unit_variance(scheduler: Scheduler, sample: Tensor, timestep: Tensor) -> tuple[Tensor, Tensor]:
    """The scheduler's sample, scaled to unit variance for the denoiser, and its angle (B,)."""
    if is_discrete(scheduler):
        kept = float(scheduler.alphas_cumprod[round(float(timestep))])
        noisy, angle = scheduler.scale_model_input(sample, timestep), math.acos(math.sqrt(kept))
    else:
        mix = float(timestep) / scheduler.config.num_train_timesteps
        noisy, angle = sample / math.hypot(1 - mix, mix), math.atan2(mix, 1 - mix)
    return noisy, torch.full((len(sample),), angle, dtype=sample.dtype, device=sample.device)


def _model_output(scheduler: Scheduler, clean: Tensor, noisy: Tensor, angle: Tensor) -> Tensor:
    """The estimate of the clean signal, converted to the prediction type that the scheduler expects."""
    kind = scheduler.config.prediction_type if is_discrete(scheduler) else "flow"
    turn = angle[:, None, None]
    noise = (noisy - torch.cos(turn) * clean) / torch.sin(turn)
    return noise_target(kind, clean, noise, angle)


def _guided(
    denoiser: FlowDenoiser,
    noisy: Tensor,
    angle: Tensor,
    condition: FlowCondition,
    blank: FlowCondition | None,
    scale: float,
) -> Tensor:
    """The estimate of the clean signal, with classifier-free guidance if there is a `blank` condition."""
    conditional = denoiser(noisy, angle, condition)
    if blank is None:
        return conditional.clean
    unconditional = denoiser(noisy, angle, blank)
    logits = torch.lerp(unconditional.logits, conditional.logits, scale)
    prediction = torch.lerp(unconditional.prediction, conditional.prediction, scale)
    return denoiser.read(logits, prediction, noisy, angle)
