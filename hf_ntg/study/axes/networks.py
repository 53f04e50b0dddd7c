"""PacketCNN, a traffic classifier on a flow's first packets, and the training loop of neural classifiers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.metrics import f1_score
from torch import Tensor, nn
from torch.nn import functional as F

from hf_ntg.constants import MAX_SEGMENT
from hf_ntg.metrics.views import FlowView

__all__ = ["PacketCNN", "Schedule", "packet_inputs", "train_network"]

LONGEST = 1_500  # bytes; longer payloads (joined by offloading) share a symbol
_FULL_PACKET = MAX_SEGMENT  # bytes
_PERIODS = 2 ** np.arange(1, 12)  # bytes, of the sines and cosines
_LEAST_TIME = 1e-6  # seconds


@dataclass(frozen=True)
class Schedule:
    """How a neural classifier is trained.

    Attributes:
        steps: optimizer steps, whatever the number of flows. batch: flows in a step. rate: highest learning rate.
        held_out: share of each class's flows held out to choose the best weights. check_every: steps between checks.
        balance: 0 draws flows as they come, 1 all classes equally often; between them, in proportion to
            ``count ** (1 - balance)``.
    """

    steps: int = 800
    batch: int = 128
    rate: float = 3e-3
    held_out: float = 0.1
    check_every: int = 50
    balance: float = 0.5


class PacketCNN(nn.Module):
    """A one-dimensional CNN over packets: symbol embedding, two convolutions with a skip connection, two layers.

    A packet enters as one symbol for direction and payload length, and its inter-arrival time. The symbol has a learned
    embedding, which starts at 0 so that symbols not seen in training add nothing, and fixed features: direction,
    presence, length on a linear and on a logarithmic scale, and sines and cosines of the length with periods of 2 to
    2,048 bytes. The fixed features tell near lengths apart and say what unseen lengths resemble.

    A 1D-CNN on packet fields follows Aceto et al., "Mobile encrypted traffic classification using deep learning", TMA
    2018; features of numbers: "FoNE", arXiv 2502.09741.
    """

    features: Tensor

    def __init__(self, packets: int, classes: int, embedding: int = 32, channels: int = 64, hidden: int = 128) -> None:
        super().__init__()
        table = torch.from_numpy(_symbol_features())  # (symbols, features)
        self.register_buffer("features", table, persistent=False)
        self.embedding = nn.Embedding(len(table), embedding)
        nn.init.zeros_(self.embedding.weight)
        self.mix = _block(embedding + table.shape[1] + 1, channels, 1)
        self.convolutions = nn.Sequential(_block(channels, channels, 3), _block(channels, channels, 3))
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(channels * packets, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(hidden, classes),
        )

    def forward(self, symbols: Tensor, times: Tensor) -> Tensor:  # (B, W), (B, W) -> (B, K)
        parts = [self.embedding(symbols), self.features[symbols], times[..., None]]
        packets = self.mix(torch.cat(parts, dim=2).transpose(1, 2))  # (B, C, W)
        return self.head(packets + self.convolutions(packets))


def packet_inputs(view: FlowView, timed: bool) -> tuple[Tensor, Tensor]:
    """Inputs of :class:`PacketCNN` for N flows.

    Returns:
        (N, W) int64 symbols: 0 after a flow's end, else ``1 + 2 * length + (direction < 0)``, lengths cut to 1,500
        bytes; (N, W) float32 times: a microsecond is 0.05 and a second 1, on a logarithmic scale; all 0 unless `timed`.
    """
    flows, width = view.flows, view.max_packets
    symbols = np.zeros((len(view), width), dtype=np.int64)
    packet = 1 + 2 * np.minimum(flows.payload_length, LONGEST) + (flows.direction < 0)
    symbols[flows.flow_index, flows.position] = packet
    times = np.zeros((len(view), width), dtype=np.float32)
    if timed:
        times = np.log10(1 + flows.padded("inter_arrival_time", width) / _LEAST_TIME).astype(np.float32) / np.float32(6)
    return torch.from_numpy(symbols), torch.from_numpy(times)


def train_network(
    net: nn.Module, inputs: tuple[Tensor, ...], classes: np.ndarray, schedule: Schedule, seed: int
) -> Callable[[tuple[Tensor, ...]], np.ndarray]:
    """Train `net` on N flows and return the classifier: inputs of M flows in, their classes (M,) out.

    The learning rate rises and falls once over the steps. The weights with the best macro-F1 on the held-out flows are
    kept; if several are equal, the latest. If no class has enough flows to hold one out, the last weights are kept.

    Args:
        net: a network that maps a batch of each of `inputs` to logits (B, K). inputs: each (N, ...). classes: (N,).
    """
    targets = torch.from_numpy(classes)
    held_out = _hold_out(classes, schedule.held_out, np.random.default_rng(seed))
    trained, chosen = torch.from_numpy(np.flatnonzero(~held_out)), torch.from_numpy(np.flatnonzero(held_out))
    weights = _draw_weights(classes[~held_out], schedule.balance)
    optimizer = torch.optim.AdamW(net.parameters(), lr=schedule.rate)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, schedule.rate, total_steps=schedule.steps, pct_start=0.1)
    best, kept = -1.0, None
    generator = torch.Generator().manual_seed(seed)
    for step in range(1, schedule.steps + 1):
        rows = trained[torch.multinomial(weights, schedule.batch, replacement=True, generator=generator)]
        loss = F.cross_entropy(net(*(part[rows] for part in inputs)), targets[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rates.step()
        if len(chosen) and (step % schedule.check_every == 0 or step == schedule.steps):
            said = _answer(net, tuple(part[chosen] for part in inputs))
            score = f1_score(classes[held_out], said, average="macro", zero_division=0)
            if score >= best:
                best, kept = score, {name: value.clone() for name, value in net.state_dict().items()}
    if kept is not None:
        net.load_state_dict(kept)
    return lambda asked: _answer(net, asked)


def _symbol_features() -> np.ndarray:
    """(symbols, features) float32: fixed features of each packet symbol."""
    place = np.arange(2 * (LONGEST + 1))
    length, direction = (place // 2)[:, None].astype(np.float64), np.where(place % 2, -1.0, 1.0)[:, None]
    angles = 2 * np.pi * length / _PERIODS
    scaled = [direction * np.log1p(length) / np.log1p(_FULL_PACKET), direction * length / _FULL_PACKET]
    features = np.concatenate([direction, np.ones_like(length), *scaled, np.sin(angles), np.cos(angles)], axis=1)
    return np.concatenate([np.zeros((1, features.shape[1])), features]).astype(np.float32)


def _block(inputs: int, outputs: int, width: int) -> nn.Sequential:
    convolution = nn.Conv1d(inputs, outputs, width, padding=width // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm1d(outputs), nn.ReLU())


def _hold_out(classes: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """(N,) bool: `share` of the flows of each class, rounded down."""
    held_out = np.zeros(len(classes), dtype=bool)
    for label in np.unique(classes):
        rows = rng.permutation(np.flatnonzero(classes == label))
        held_out[rows[: int(share * len(rows))]] = True
    return held_out


def _draw_weights(classes: np.ndarray, balance: float) -> Tensor:
    """(N,) probability of drawing each flow."""
    counts = np.bincount(classes)
    weights = 1.0 / counts[classes] ** balance
    return torch.from_numpy(weights / weights.sum())


@torch.no_grad()
def _answer(net: nn.Module, inputs: tuple[Tensor, ...], batch: int = 4_096) -> np.ndarray:
    """(N,) the class with the highest logit."""
    was_training = net.training
    net.eval()
    parts = [
        net(*(part[start : start + batch] for part in inputs)).argmax(dim=1)
        for start in range(0, len(inputs[0]), batch)
    ]
    net.train(was_training)
    return torch.cat(parts).numpy()
