"""FlowDenoiser: UNet1DModel with the conditioning of flows and the decoding of its output."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from diffusers.models import UNet1DModel
from torch import Tensor, nn
from torch.nn import functional as F

from hf_ntg.codecs.packet_codes import CODE_WIDTH, code_words
from hf_ntg.codecs.processing_flow_signal import FlowSignalProcessor

__all__ = [
    "DenoiserOutput",
    "FlowCondition",
    "FlowDenoiser",
    "build_unet",
    "noise_target",
]

COLUMNS = 3  # columns of the UNet's signal; each holds a group of packets, so that five taps see all of them
CHANNELS = 128
TRAIN_TIMESTEPS = 1_000  # the UNet takes the noise level as a timestep from 0 to this
CODE_SCALE = 0.25  # scale of the code words' channels, see FlowDenoiser


class FlowCondition(NamedTuple):
    """The condition of B flows: `channels` (B, K, 3) of the UNet's input, and `word_log_prior` (B, W, V)."""

    channels: Tensor
    word_log_prior: Tensor


@dataclass(frozen=True)
class DenoiserOutput:
    """The network's output for a noisy batch.

    Attributes:
        logits: (B, W, V) of the code words; V is 0 unless packets are written as codes.
        prediction: (B, C', W) for the channels that do not hold code words.
        clean: (B, C, W) the clean signal that these two imply.
    """

    logits: Tensor
    prediction: Tensor
    clean: Tensor


class FlowDenoiser(nn.Module):
    """Takes a condition and a noisy signal, and returns the clean signal. It has no weights besides the UNet's.

    Each channel of a signal is multiplied by its `scale` and mixed with noise at an angle from 0 to pi/2:
    ``noisy = cos(angle) * clean + sin(angle) * noise``. This keeps the variance, and the noise schedule of any
    scheduler is a path along this angle. The scale of code words is a quarter. At +-1 they can be decoded without
    error from a mix that is mostly noise. Nearly all noise levels would then be trivial, and a sampler with few steps
    would choose a whole flow in one step (Chen, "On the importance of noise scheduling for diffusion models",
    2023).

    Packets written as codes are classified, and their clean signal is the mean of the words under the softmax (Dieleman
    et al., "Continuous diffusion for categorical data", 2022). Each packet is first denoised alone, in closed form:
    by Bayes' rule its logits are the log share of each word in the class at this position plus the log-likelihood of
    the noisy word. The UNet's output is added to these logits, so the network only learns the dependence between
    packets. The `prediction_type` says how the other channels are decoded.

    The UNet's input has three columns with a group of packets each. Its channels are the mean word of every packet
    by Bayes' rule alone, the noisy values of the other channels, the code words of class and header (zeros where not
    given), and the number of the column.
    """

    scale: Tensor
    code_book: Tensor
    word_log_prior: Tensor
    class_words: Tensor
    header_words: Tensor

    def __init__(self, unet: UNet1DModel, processor: FlowSignalProcessor, prediction_type: str) -> None:
        super().__init__()
        self.unet, self.prediction_type = unet, prediction_type
        self.num_packets, self.group = processor.max_packets, _group(processor)
        self.code_channels = processor.packet_channels - 1 if processor.packet_form == "codes" else 0
        scale = np.ones((processor.num_channels, 1))
        scale[: self.code_channels] = CODE_SCALE
        self._keep("scale", scale)
        self._keep("code_book", processor.code_book)  # (V, 32)
        self._keep("word_log_prior", processor.word_log_prior)  # (K + 1, W, V), no class last
        self._keep("class_words", code_words(np.arange(len(processor.labels))))
        self._keep("header_words", code_words(np.arange(len(processor.headers))))

    def condition(self, classes: Tensor, headers: Tensor) -> FlowCondition:
        """The condition of flows with these classes and headers, places of (B,) each; -1 for none."""
        parts = [_looked_up(self.class_words, classes)]
        if len(self.header_words):
            parts.append(_looked_up(self.header_words, headers))
        words = torch.cat(parts, dim=1)[:, :, None].expand(-1, -1, COLUMNS)
        columns = torch.eye(COLUMNS, device=words.device).expand(len(words), -1, -1)
        channels = torch.cat([words, columns], dim=1)
        return FlowCondition(channels, self.word_log_prior[classes])

    def forward(self, noisy: Tensor, angle: Tensor, condition: FlowCondition) -> DenoiserOutput:
        """Denoise a signal (B, C, W) at noise level `angle` (B,), given `condition`."""
        num_words, seen = self.word_log_prior.shape[2], noisy[:, self.code_channels :]
        if self.code_channels:
            alone = self._alone(noisy, angle, condition.word_log_prior)  # (B, W, V)
            seen = torch.cat([self._mean_word(alone), seen], dim=1)
        inputs = torch.cat([self._grouped(seen), condition.channels], dim=1)
        raw = self.unet(inputs, angle * (2 * TRAIN_TIMESTEPS / math.pi)).sample  # (B, G (V + C'), 3)
        raw = raw.transpose(1, 2).reshape(len(raw), COLUMNS * self.group, -1)[:, : self.num_packets]
        logits, prediction = raw[:, :, :num_words], raw[:, :, num_words:].transpose(1, 2)
        if self.code_channels:
            logits = logits + alone
        return DenoiserOutput(logits, prediction, self.read(logits, prediction, noisy, angle))

    def read(self, logits: Tensor, prediction: Tensor, noisy: Tensor, angle: Tensor) -> Tensor:
        """The clean signal (B, C, W) that `logits` and `prediction` imply for `noisy` at `angle`."""
        clean = _clean_of(self.prediction_type, prediction, noisy[:, self.code_channels :], angle).clamp(-1, 1)
        return torch.cat([self._mean_word(logits) * CODE_SCALE, clean], dim=1) if self.code_channels else clean

    def _alone(self, noisy: Tensor, angle: Tensor, word_log_prior: Tensor) -> Tensor:
        """(B, W, V) logits of the words of each packet, from that packet alone.

        All words have the same norm. So the log-likelihood of a word is, up to a constant, its product with the noisy
        word times ``cos(angle) / sin(angle)**2``.
        """
        keep, mix = _rotation(angle)
        codes = noisy[:, : self.code_channels] * (keep / mix.square().clamp(min=1e-4) * CODE_SCALE)
        codes = codes.transpose(1, 2).flatten(0, 1)  # (B W, 32)
        return torch.addmm(word_log_prior.flatten(0, 1), codes, self.code_book.T).view_as(word_log_prior)

    def _mean_word(self, logits: Tensor) -> Tensor:
        """(B, 32, W) mean of the code words under the softmax."""
        return (logits.softmax(dim=2) @ self.code_book).transpose(1, 2)

    def _grouped(self, signal: Tensor) -> Tensor:
        """Reshape (B, C, W) to (B, C G, 3): G packets in each column, zeros after the last packet."""
        padded = F.pad(signal, (0, COLUMNS * self.group - self.num_packets))
        return padded.unflatten(2, (COLUMNS, self.group)).transpose(2, 3).flatten(1, 2)

    def _keep(self, name: str, values: np.ndarray) -> None:
        self.register_buffer(name, torch.from_numpy(values.astype(np.float32)), persistent=False)


def build_unet(processor: FlowSignalProcessor, seed: int = 0) -> UNet1DModel:
    """A UNet with fresh weights for the signals of `processor`: 1.1 million for 10 packets and 300 words.

    It has one level, because a signal of three columns cannot be halved.

    Args:
        seed: of the weights.
    """
    coded = processor.packet_form == "codes"
    others = processor.num_channels - (processor.packet_channels - 1 if coded else 0)
    conditions = CODE_WIDTH * (2 if processor.headers else 1) + COLUMNS
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return UNet1DModel(
            sample_size=COLUMNS,
            in_channels=_group(processor) * (others + (CODE_WIDTH if coded else 0)) + conditions,
            out_channels=_group(processor) * (others + processor.word_log_prior.shape[2]),
            time_embedding_type="positional",
            use_timestep_embedding=True,
            act_fn="silu",
            down_block_types=("DownResnetBlock1D",),
            mid_block_type="MidResTemporalBlock1D",
            up_block_types=("UpResnetBlock1D",),
            out_block_type="OutConv1DBlock",
            block_out_channels=(CHANNELS,),
            layers_per_block=0,  # one residual block each
        )


def noise_target(prediction_type: str, clean: Tensor, noise: Tensor, angle: Tensor) -> Tensor:
    """The output that a network of `prediction_type` should have for a mix (B, C, W) at `angle` (B,).

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


def _group(processor: FlowSignalProcessor) -> int:
    """Number of packets in one column of the UNet."""
    return -(-processor.max_packets // COLUMNS)


def _looked_up(words: Tensor, places: Tensor) -> Tensor:
    return words[places.clamp(min=0)] * (places >= 0)[:, None]
