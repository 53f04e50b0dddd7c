"""Denoising training of the diffusion model on flow signals."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor, nn
from torch.nn import functional as F

from hf_ntg.codecs.processing_flow_signal import FlowSignalProcessor, FlowSignals
from hf_ntg.codecs.signal_scales import FEWEST_TIMES
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.view import flows_in_view
from hf_ntg.models.flow_denoiser import FlowDenoiser, build_unet, noise_target
from hf_ntg.models.pipeline_flow_diffusion import FlowDiffusionPipeline
from hf_ntg.models.schedulers import make_scheduler
from hf_ntg.training.config import TrainingConfig
from hf_ntg.training.objective import Objective

__all__ = ["DiffusionObjective"]

VALIDATION_DRAWS = 4  # number of noise levels at which every validation flow is evaluated
MATCHED_DRAWS = 512  # flows of each class from which the distribution of a trained model's times is estimated
MOST_DRAWS = 128 * MATCHED_DRAWS  # of all classes together; where there are more than 128, each gets fewer


class DiffusionObjective(Objective):
    """Cross-entropy for packets written as codes, and squared error for all other channels.

    Noise levels are uniform in the angle of the mix, which is the cosine schedule (Nichol and Dhariwal, 2021). The
    draws of an example depend on the step and its row alone, so the gradient does not depend on the processes.
    """

    unit = "loss"

    def __init__(
        self, config: TrainingConfig, flows: Dataset | FlowArrays, validation: Dataset | FlowArrays | None
    ) -> None:
        flows, _ = flows_in_view(flows, config.view)
        self.processor = FlowSignalProcessor.fit(
            flows,
            max_packets=config.max_packets,
            packet_form=config.packet_form,
            header=config.header,
            times=config.times,
        )
        self._config = config
        self._signals = self.processor.encode(flows)
        self._validation = None if validation is None else self.processor.encode(validation)
        self.num_examples, self.mean_weight = len(self._signals.classes), 1.0
        denoiser = FlowDenoiser(build_unet(self.processor, config.seed), self.processor, config.prediction_type)
        self.module = _DenoisingLoss(denoiser, config.snr_gamma)

    def collate(self, rows: np.ndarray, rng: np.random.Generator) -> dict[str, Tensor]:
        return _noised(self._signals, rows, int(rng.integers(2**62)), self._config.condition_dropout)

    @torch.no_grad()
    def validation_loss(self, module: nn.Module) -> float:
        assert self._validation is not None
        was_training, device = module.training, next(module.parameters()).device
        module.eval()
        total, rows = 0.0, np.arange(len(self._validation.classes))
        for draw in range(VALIDATION_DRAWS):
            for part in np.array_split(rows, math.ceil(len(rows) / 512)):
                batch = _noised(self._validation, part, draw, condition_dropout=0.0)
                total += float(module(**{name: value.to(device) for name, value in batch.items()}))
        module.train(was_training)
        return total / (VALIDATION_DRAWS * len(rows))

    def save(self, module: nn.Module, folder: Path) -> None:
        assert isinstance(module, _DenoisingLoss)
        pipeline = FlowDiffusionPipeline(
            module.denoiser.unet,
            make_scheduler("dpm-solver++"),
            self.processor,
            prediction_type=self._config.prediction_type,
        )
        self._match_times(pipeline)
        pipeline.save_pretrained(folder)

    def _match_times(self, pipeline: FlowDiffusionPipeline) -> None:
        if self.processor.time_knots is None:
            return
        pipeline.set_progress_bar_config(disable=True)
        labels = np.array(self.processor.labels, dtype=object)
        flows = np.bincount(self._signals.classes, minlength=len(labels))
        matched = np.flatnonzero(flows >= FEWEST_TIMES)  # the others have too few times
        classes = np.repeat(matched, min(MATCHED_DRAWS, max(FEWEST_TIMES, MOST_DRAWS // max(1, len(matched)))))
        # One array: many small ones would keep the memory of each draw from being released.
        drawn = np.empty((len(classes), *self._signals.values.shape[1:]), dtype=np.float32)
        for place, start in enumerate(range(0, len(classes), MATCHED_DRAWS)):
            batch, generator = slice(start, start + MATCHED_DRAWS), torch.Generator().manual_seed(place)
            drawn[batch] = pipeline(labels[classes[batch]], generator=generator, output_type="np").signals
        self.processor.match_times(self._signals, drawn, classes)


class _DenoisingLoss(nn.Module):
    """The denoiser with its loss inside, so that data-parallel wrappers see one call."""

    def __init__(self, denoiser: FlowDenoiser, snr_gamma: float) -> None:
        super().__init__()
        self.denoiser, self.snr_gamma = denoiser, snr_gamma

    def forward(
        self,
        clean: Tensor,
        known: Tensor,
        words: Tensor,
        noise: Tensor,
        angle: Tensor,
        classes: Tensor,
        headers: Tensor,
    ) -> Tensor:
        """Sum of the losses of clean signals (B, C, W), whose packets are code `words` (B, W), mixed with `noise`.

        Values that are not `known` (B, C, W) have no loss.
        """
        net = self.denoiser
        turn, clean = angle[:, None, None], clean * net.scale
        noisy = torch.cos(turn) * clean + torch.sin(turn) * noise
        out = net(noisy, angle, net.condition(classes, headers))
        rest = slice(net.code_channels, None)
        target = noise_target(net.prediction_type, clean[:, rest], noise[:, rest], angle)
        weight = _snr_weight(net.prediction_type, angle, self.snr_gamma)[:, None, None] * known[:, rest]
        loss = (weight * (out.prediction - target).square()).mean(dim=2).sum()
        if net.code_channels:
            missed = F.cross_entropy(out.logits.transpose(1, 2), words, reduction="none")  # (B, W)
            loss = loss + (missed * known[:, 0]).mean(dim=1).sum()
        return loss


def _noised(signals: FlowSignals, rows: np.ndarray, seed: int, condition_dropout: float) -> dict[str, Tensor]:
    """Signals `rows` with their random noise and dropped conditions, as keyword arguments of the loss.

    Unknown values are filled at random, so that the model cannot infer the packets from the gaps.
    """
    shape = signals.values.shape[1:]
    noise, fill = (np.empty((len(rows), *shape), dtype=np.float32) for _ in range(2))
    chance = np.empty((len(rows), 2))
    for place, row in enumerate(rows):
        own = np.random.default_rng([seed, row])
        noise[place] = own.standard_normal(shape, dtype=np.float32)
        fill[place] = own.uniform(-1, 1, shape)
        chance[place] = own.random(2)
    conditioned, known = chance[:, 0] >= condition_dropout, signals.known[rows]
    batch = {
        "clean": np.where(known, signals.values[rows], fill),
        "known": known,
        "words": signals.words[rows],
        "noise": noise,
        "angle": (chance[:, 1] * math.pi / 2).astype(np.float32),
        "classes": np.where(conditioned, signals.classes[rows], -1),
        "headers": np.where(conditioned, signals.headers[rows], -1),
    }
    return {name: torch.from_numpy(part) for name, part in batch.items()}


def _snr_weight(prediction_type: str, angle: Tensor, gamma: float) -> Tensor:
    """Min-SNR weights (Hang et al., 2023): min(SNR, gamma) on the clean signal's error, converted to this prediction.

    The flow's velocity keeps weight 1, which is how flow matching weighs it.
    """
    if not gamma or prediction_type == "flow":
        return torch.ones_like(angle)
    snr = torch.tan(angle).square().clamp(min=1e-6).reciprocal()
    capped = snr.clamp(max=gamma)
    return {"sample": capped, "epsilon": capped / snr, "v_prediction": capped / (snr + 1)}[prediction_type]
