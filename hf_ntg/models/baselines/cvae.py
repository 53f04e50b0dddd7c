"""Cvae: a conditional variational autoencoder of about the same size as the project's models."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hf_ntg.codecs.time_bins import TimeBins
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.models.baselines.baseline import Baseline
from hf_ntg.models.baselines.headers import HeaderTable

__all__ = ["Cvae"]

_TIME_BINS = 64
_EPOCHS, _BATCH, _RATE = 100, 128, 2e-3  # chosen on validation flows held out of the training flows
_DRAWN = 512  # flows in one batch: each needs a logit for every word at every position
_WARMUP = 0.2  # share of the steps over which the weight of the divergence rises to 1


class Cvae(Baseline):
    """A conditional variational autoencoder over whole flows: 1.2 to 1.8 million parameters for ten packets.

    The encoder maps all packets, times and the class to a Gaussian over 32 latent variables. The prior is a Gaussian
    that is learned for each class. Given the latent variables and the class, the decoder gives two independent
    distributions for each position: over the packets seen in training (direction and payload length together) and the
    end of the flow, and over 64 time bins (:class:`hf_ntg.codecs.time_bins.TimeBins`). A generated flow ends at its
    first end symbol. Protocol and ports come from :class:`hf_ntg.models.baselines.headers.HeaderTable`.

    Sources: Kingma, Welling, Auto-encoding variational Bayes, ICLR 2014; Sohn, Lee, Yan, Learning structured output
    representation using deep conditional generative models, NeurIPS 2015.
    """

    kind = "cvae"

    def __init__(self, seed: int = 0):
        self.seed = seed

    @property
    def num_parameters(self) -> int:
        """Parameters of the network."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    def _fit(self, flows: FlowArrays, classes: np.ndarray) -> None:
        self.headers = HeaderTable.fit(flows, classes)
        self.words = np.unique(flows.packet_symbol)
        self.time_bins = TimeBins.fit(flows.inter_arrival_time, _TIME_BINS)
        words, times = self._encode(flows)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self.network = self._build()
            _train(self.network, *map(torch.from_numpy, (words, times, classes)))

    def _build(self) -> _Network:
        return _Network(len(self.labels), self.max_packets, len(self.words) + 1, max(len(self.time_bins), 1))

    def _encode(self, flows: FlowArrays) -> tuple[np.ndarray, np.ndarray]:
        """Word numbers (index in `words` plus one, 0 after the end) and time bins: (N, W) int64 each."""
        there = np.arange(self.max_packets) < flows.num_packets[:, None]
        words = np.searchsorted(self.words, flows.padded("packet_symbol", self.max_packets)) + 1
        times = np.zeros_like(words)
        if len(self.time_bins):
            times = self.time_bins.of(flows.padded("inter_arrival_time", self.max_packets))
        return words * there, times * there

    @torch.inference_mode()
    def _generate(self, classes: np.ndarray, rng: np.random.Generator) -> FlowArrays:
        """Draw flows of the given classes from the decoder."""
        noise = torch.Generator().manual_seed(int(rng.integers(2**63)))
        drawn = [self.network.draw(part, noise) for part in torch.from_numpy(classes).split(_DRAWN)]
        words, times = (torch.cat(parts).numpy() for parts in zip(*drawn, strict=True))
        kept = np.logical_and.accumulate(words > 0, axis=1)
        symbols = self.words[words[kept] - 1]
        flows = FlowArrays(
            offsets=np.concatenate([[0], np.cumsum(kept.sum(axis=1))]),
            payload_length=(symbols // 2).astype(np.int32),
            direction=(1 - 2 * (symbols % 2)).astype(np.int8),
            label=np.array(self.labels, dtype=object)[classes],
        )
        if len(self.time_bins):
            times[:, 0] = 0
            flows = replace(flows, inter_arrival_time=self.time_bins.draw(times[kept], rng.random(kept.sum())))
        return self.headers.give(flows, classes, rng)

    def _tensors(self) -> dict[str, np.ndarray]:
        weights = {f"network.{name}": value.numpy() for name, value in self.network.state_dict().items()}
        return {"words": self.words, "time_knots": self.time_bins.knots} | weights | self.headers.tensors()

    def _restore(self, tensors: dict[str, np.ndarray]) -> None:
        self.words, self.time_bins = tensors["words"], TimeBins(tensors["time_knots"])
        self.headers = HeaderTable.restore(tensors)
        self.network = self._build()
        prefix = "network."
        weights = {k.removeprefix(prefix): torch.from_numpy(v) for k, v in tensors.items() if k.startswith(prefix)}
        self.network.load_state_dict(weights)


class _Network(nn.Module):
    """The encoder, prior and decoder for K classes, W positions, V words (0: end) and T time bins."""

    latent, embedding, hidden = 32, 32, 512
    word_width, time_width = 64, 32  # outputs of the decoder for each packet and each time

    def __init__(self, num_classes: int, width: int, num_words: int, num_times: int):
        super().__init__()
        self.width = width
        self.label = nn.Embedding(num_classes, self.embedding)
        self.prior = nn.Embedding(num_classes, 2 * self.latent)  # mean and log-variance
        nn.init.zeros_(self.prior.weight)
        self.word = nn.Embedding(num_words, self.embedding)
        self.time = nn.Embedding(num_times, self.embedding // 2)
        self.encoder = self._layers(width * self.embedding * 3 // 2 + self.embedding, 2 * self.latent)
        self.decoder = self._layers(self.latent + self.embedding, width * (self.word_width + self.time_width))
        self.to_words = nn.Linear(self.word_width, num_words)
        self.to_times = nn.Linear(self.time_width, num_times)

    def _layers(self, inputs: int, outputs: int) -> nn.Sequential:
        sizes = [nn.Linear(inputs, self.hidden), nn.SiLU(), nn.Linear(self.hidden, self.hidden), nn.SiLU()]
        return nn.Sequential(*sizes, nn.Linear(self.hidden, outputs))

    def forward(self, words: Tensor, times: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean negative log-likelihood and mean divergence from the prior of B flows, nats: (), ()."""
        seen = [self.word(words).flatten(1), self.time(times).flatten(1), self.label(labels)]
        mean, log_variance = self.encoder(torch.cat(seen, dim=1)).chunk(2, dim=1)  # (B, latent)
        prior_mean, prior_log_variance = self.prior(labels).chunk(2, dim=1)
        ratio = log_variance - prior_log_variance
        distance = (mean - prior_mean) ** 2 / prior_log_variance.exp()
        divergence = (ratio.exp() + distance - 1 - ratio).sum() / 2
        latent = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        of_words, of_times = self._decode(latent, labels)
        scored = torch.arange(self.width) <= (words > 0).sum(dim=1, keepdim=True)  # the packets, and their end
        timed = (words > 0) & (torch.arange(self.width) > 0)
        loss = F.cross_entropy(self.to_words(of_words[scored]), words[scored], reduction="sum")
        loss += F.cross_entropy(self.to_times(of_times[timed]), times[timed], reduction="sum")
        return loss / len(words), divergence / len(words)

    def _decode(self, latent: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Decoder outputs for words and for times: (B, W, word_width), (B, W, time_width)."""
        decoded = self.decoder(torch.cat([latent, self.label(labels)], dim=1)).unflatten(1, (self.width, -1))
        return decoded.split([self.word_width, self.time_width], dim=2)

    def draw(self, labels: Tensor, noise: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw words and time bins for `labels` (B,): (B, W), (B, W). The first word is never the end."""
        mean, log_variance = self.prior(labels).chunk(2, dim=1)
        latent = mean + torch.randn(mean.shape, generator=noise) * (log_variance / 2).exp()
        of_words, of_times = self._decode(latent, labels)
        word_logits, time_logits = self.to_words(of_words), self.to_times(of_times)
        word_logits[:, 0, 0] = -torch.inf
        return _draw(word_logits, noise), _draw(time_logits, noise)


def _train(network: _Network, words: Tensor, times: Tensor, labels: Tensor) -> None:
    """Train the network, with a weight of the divergence that rises from 0 to 1."""
    steps = _EPOCHS * -(-len(words) // _BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps, pct_start=0.05)
    step = 0
    for _ in range(_EPOCHS):
        for rows in torch.randperm(len(words)).split(_BATCH):
            loss, divergence = network(words[rows], times[rows], labels[rows])
            step += 1
            optimizer.zero_grad()
            (loss + min(1, step / (_WARMUP * steps)) * divergence).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            schedule.step()
    network.eval()


def _draw(logits: Tensor, noise: torch.Generator) -> Tensor:
    """Sample one index from each (..., V) row of logits, by inverse CDF."""
    cumulative = logits.double().softmax(dim=-1).cumsum(dim=-1)
    point = torch.rand(logits.shape[:-1], generator=noise, dtype=torch.float64)[..., None] * cumulative[..., -1:]
    return torch.searchsorted(cumulative, point, right=True).squeeze(-1).clamp(max=logits.shape[-1] - 1)
