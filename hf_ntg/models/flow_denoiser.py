"""A native UNet1DModel in the clothes of a flow: what it is told, and what its output means."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from diffusers import UNet1DModel
from torch import Tensor, nn

from hf_ntg.codecs.processing_flow_signal import CODE_WIDTH, FlowSignalProcessor, code_words

__all__ = [
    "PREDICTION_TYPES",
    "DenoiserOutput",
    "FlowCondition",
    "FlowDenoiser",
    "build_unet",
    "noise_target",
    "signal_width",
]

PREDICTION_TYPES = ("epsilon", "v_prediction", "sample", "flow")
BLOCK_CHANNELS = (32, 64, 128)
POSITION_CHANNELS = 8
TRAIN_TIMESTEPS = 1_000  # the UNet is told the noise level as a timestep of 0 to this


class FlowCondition(NamedTuple):
    """What the denoiser is told of B flows: `channels` (B, K, W) for the UNet, `word_log_prior` (B, V) of the class."""

    channels: Tensor
    word_log_prior: Tensor


@dataclass(frozen=True)
class DenoiserOutput:
    """What the network makes of a noisy batch.

    Attributes:
        raw: (B, V + C', W) the UNet's output; V is 0 unless packets are written as codes.
        logits: (B, V, W) of the code words. prediction: (B, C', W) for the channels that are not of code words.
        clean: (B, C, W) the signal that this implies.
    """

    raw: Tensor
    logits: Tensor
    prediction: Tensor
    clean: Tensor


class FlowDenoiser(nn.Module):
    """Condition and noisy signal into the UNet, clean signal out. All weights are the UNet's own.

    Signals are mixed with noise at an angle: ``noisy = cos(angle) * clean + sin(angle) * noise``, angle from 0 to pi/2,
    so that the variance is kept; the noise schedule of any scheduler is a walk along this angle.

    Packets written as codes are classified, and their clean signal is the mean of the words under the softmax (Dieleman
    et al., "Continuous diffusion for categorical data", 2022). The UNet's output is added to the log shares that the
    words have in the class. The other channels are read by the `prediction_type`.

    Beside the noisy channels, the UNet gets: the last clean signal guessed (zeros at first) where `self_conditioning`,
    the code words of class and header (zeros where not given), and sinusoids of the packet's position.
    """

    def __init__(
        self, unet: UNet1DModel, processor: FlowSignalProcessor, prediction_type: str, self_conditioning: bool
    ) -> None:
        super().__init__()
        self.unet = unet
        self.prediction_type, self.self_conditioning = prediction_type, self_conditioning
        self.num_words = _num_words(processor)
        self.code_channels = CODE_WIDTH if self.num_words else 0
        self._keep("code_book", processor.code_book)  # (V, 32)
        self._keep("word_log_prior", processor.word_log_prior)  # (K + 1, V), no class last
        self._keep("class_words", code_words(np.arange(len(processor.labels))))
        self._keep("header_words", code_words(np.arange(len(processor.headers))))
        self._keep("positions", _positions(unet.config.sample_size))  # (8, W)

    def condition(self, classes: Tensor, headers: Tensor) -> FlowCondition:
        """What the UNet is told of flows whose class and header stand at these places (B,), -1 for none."""
        parts = [_looked_up(self.class_words, classes)]
        if len(self.header_words):
            parts.append(_looked_up(self.header_words, headers))
        told = torch.cat(parts, dim=1)[:, :, None].expand(-1, -1, self.positions.shape[1])
        channels = torch.cat([told, self.positions.expand(len(told), -1, -1)], dim=1)
        return FlowCondition(channels, self.word_log_prior[classes])

    def forward(
        self, noisy: Tensor, angle: Tensor, condition: FlowCondition, guess: Tensor | None = None
    ) -> DenoiserOutput:
        """Denoise (B, C, W) at `angle` (B,), given `condition` and the last guess of the clean signal (B, C, W)."""
        parts = [noisy, condition.channels]
        if self.self_conditioning:
            parts.insert(1, torch.zeros_like(noisy) if guess is None else guess)
        raw = self.unet(torch.cat(parts, dim=1), angle * (2 * TRAIN_TIMESTEPS / math.pi)).sample
        return self.read(raw, noisy, angle, condition)

    def read(self, raw: Tensor, noisy: Tensor, angle: Tensor, condition: FlowCondition) -> DenoiserOutput:
        """What the UNet's output `raw` (B, V + C', W) for `noisy` at `angle` means."""
        logits, prediction = raw[:, : self.num_words], raw[:, self.num_words :]
        clean = _clean_of(self.prediction_type, prediction, noisy[:, self.code_channels :], angle).clamp(-1, 1)
        if self.num_words:
            logits = logits + condition.word_log_prior[:, :, None]
            codes = torch.einsum("bvw,vc->bcw", logits.softmax(dim=1), self.code_book)
            clean = torch.cat([codes, clean], dim=1)
        return DenoiserOutput(raw, logits, prediction, clean)

    def _keep(self, name: str, values: np.ndarray) -> None:
        self.register_buffer(name, torch.from_numpy(values.astype(np.float32)), persistent=False)


def build_unet(processor: FlowSignalProcessor, self_conditioning: bool, seed: int = 0) -> UNet1DModel:
    """A fresh UNet for the signals of `processor`, of 1 to 1.1 million parameters; `seed` is of its initial weights."""
    depth, num_words = len(BLOCK_CHANNELS), _num_words(processor)
    signals = processor.num_channels * (2 if self_conditioning else 1)
    conditions = CODE_WIDTH * (2 if processor.headers else 1) + POSITION_CHANNELS
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return UNet1DModel(
            sample_size=signal_width(processor.max_packets),
            in_channels=signals + conditions,
            out_channels=num_words + processor.num_channels - (CODE_WIDTH if num_words else 0),
            time_embedding_type="positional",
            use_timestep_embedding=True,
            act_fn="silu",
            down_block_types=("DownResnetBlock1D",) * depth,
            mid_block_type="MidResTemporalBlock1D",
            up_block_types=("UpResnetBlock1D",) * depth,
            out_block_type="OutConv1DBlock",
            block_out_channels=BLOCK_CHANNELS,
            layers_per_block=1,
        )


def signal_width(max_packets: int) -> int:
    """Columns of the smallest signal that holds `max_packets` and that the UNet can halve between its blocks."""
    step = 2 ** (len(BLOCK_CHANNELS) - 1)
    return max(2, -(-max_packets // step)) * step


def noise_target(prediction_type: str, clean: Tensor, noise: Tensor, angle: Tensor) -> Tensor:
    """What a network of `prediction_type` should put out for a mix (B, C, W) at `angle` (B,).

    ``epsilon`` is the noise (Ho et al., 2020), ``sample`` the clean signal, ``v_prediction`` the change of the mix with
    the angle (Salimans and Ho, 2022), ``flow`` the velocity from clean to noise on a straight line (Liu et al., 2022).
    """
    keep, mix = _rotation(angle)
    if prediction_type == "epsilon":
        return noise
    if prediction_type == "sample":
        return clean
    return noise - clean if prediction_type == "flow" else keep * noise - mix * clean


def _clean_of(prediction_type: str, raw: Tensor, noisy: Tensor, angle: Tensor) -> Tensor:
    """The inverse of :func:`noise_target`, given the mix."""
    keep, mix = _rotation(angle)
    if prediction_type == "sample":
        return raw
    if prediction_type == "v_prediction":
        return keep * noisy - mix * raw
    return (noisy - mix * raw) / (keep.clamp(min=1e-3) if prediction_type == "epsilon" else keep + mix)


def _rotation(angle: Tensor) -> tuple[Tensor, Tensor]:
    return torch.cos(angle)[:, None, None], torch.sin(angle)[:, None, None]


def _num_words(processor: FlowSignalProcessor) -> int:
    return len(processor.code_book) if processor.packet_form == "codes" else 0


def _looked_up(words: Tensor, places: Tensor) -> Tensor:
    return words[places.clamp(min=0)] * (places >= 0)[:, None]


def _positions(width: int) -> np.ndarray:
    """(8, W) sinusoids of doubling periods from 4 columns on."""
    periods = 4.0 * 2.0 ** np.arange(POSITION_CHANNELS // 2)
    turns = 2 * math.pi * np.arange(width) / periods[:, None]
    return np.concatenate([np.sin(turns), np.cos(turns)])
