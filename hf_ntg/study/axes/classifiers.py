"""Traffic classifiers that are taught by one set of flows and tested on another."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.metrics.utility import MOST_TAUGHT, make_classifier, score_answers
from hf_ntg.metrics.views import FlowView, cut_to, view_flows

__all__ = ["CLASSIFIERS", "PacketCNN", "teach_and_test"]

CLASSIFIERS = ("random_forest", "gradient_boosting", "cnn")
STEPS, BATCH, RATE = 1_000, 128, 2e-3
HELD_BACK, PATIENCE, CHECK_EVERY = 0.1, 3, 50
LEAST_GAIN = 1e-3  # nats
_FULL_PACKET = 1460  # bytes


def teach_and_test(name: str, test: FlowArrays, taught: FlowArrays, max_packets: int, seed: int) -> dict:
    """Teach the classifier `name` by `taught` and let it name the classes of `test`.

    ``random_forest`` and ``gradient_boosting`` are those of :func:`hf_ntg.metrics.utility.tstr`, on signed lengths.
    ``cnn`` is a :class:`PacketCNN` on lengths, directions and, where both sets have them, times.

    At most 50,000 flows teach, drawn by `seed` without replacement; ten times a large table costs no more.

    Returns:
        ``macro_f1``, ``weighted_f1``, ``accuracy``; ``per_class`` F1; ``confusion``: [true, said, flows] for every
        pair that occurs; ``taught``: flows that taught; ``inputs``: what the classifier saw of a packet.
    """
    names, views = view_flows(test, taught, max_packets=max_packets)
    asked, teacher = views[0], cut_to(views[1], MOST_TAUGHT, seed)
    inputs = ["signed length"]
    if name == "cnn":
        timed = all(view.flows.inter_arrival_time is not None for view in views)
        inputs = ["log length", "direction", "presence", *(["log time"] if timed else [])]
        said = _teach_cnn(_signals(teacher, timed), teacher.classes, len(names), seed)(_signals(asked, timed))
    else:
        model = make_classifier(name, teacher, seed, jobs=torch.get_num_threads())
        said = model.fit(teacher.signed_lengths, teacher.classes).predict(asked.signed_lengths)
    scores = score_answers(names, asked, said)
    pairs, flows = np.unique(np.stack([asked.classes, said]), axis=1, return_counts=True)
    confusion = [[names[true], names[wrong], int(count)] for (true, wrong), count in zip(pairs.T, flows, strict=True)]
    details = {"confusion": confusion, "taught": len(teacher), "inputs": inputs}
    return {"macro_f1": scores.pop("overall"), **scores, **details}


class PacketCNN(nn.Module):
    """The usual traffic classifier: two one-dimensional convolutions over a flow's first packets, and two layers.

    As in Aceto et al., "Mobile encrypted traffic classification using deep learning", TMA 2018 (their 1D-CNN on packet
    fields), with narrower layers for ten packets in place of 784 bytes.
    """

    def __init__(self, channels: int, packets: int, classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(channels, 64, 3, padding=1),
            nn.ReLU(),
            nn.Conv1d(64, 64, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * packets, 128),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(128, classes),
        )

    def forward(self, signals: Tensor) -> Tensor:  # (B, C, W) -> (B, K)
        return self.body(signals)


def _signals(view: FlowView, timed: bool) -> Tensor:
    """(N, C, W) float32: signed length, direction, presence and, if `timed`, time; lengths and times on a log scale.

    On a linear scale the network cannot tell lengths a few bytes apart: macro-F1 on held-back training flows of the
    bundled set, split by capture, was 0.70 in place of 0.74.
    """
    flows, width = view.flows, view.max_packets
    lengths = np.log1p(flows.padded("payload_length", width)) / np.log1p(_FULL_PACKET)
    direction = flows.padded("direction", width).astype(np.float32)
    planes = [direction * lengths, direction, np.abs(direction)]
    if timed:
        planes.append(np.log10(1 + flows.padded("inter_arrival_time", width) / 1e-6) / 6)  # a microsecond 0.05, 1 s 1
    return torch.from_numpy(np.stack(planes, axis=1).astype(np.float32))


def _teach_cnn(signals: Tensor, classes: np.ndarray, num_classes: int, seed: int):
    """Train for at most `STEPS` steps, fewer where a tenth held back no longer gains; gives the classifier.

    However many flows teach it, it takes the same number of steps at most: ten times the flows cost no more.
    """
    rng = np.random.default_rng(seed)
    targets = torch.from_numpy(classes)
    order = torch.from_numpy(rng.permutation(len(targets)))
    back = order[: max(1, int(HELD_BACK * len(order)))] if len(order) > 1 else order
    rows = order[len(back) :] if len(order) > 1 else order
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = PacketCNN(signals.shape[1], signals.shape[2], num_classes)
        optimizer = torch.optim.AdamW(net.parameters(), lr=RATE)
        best, kept, waited = np.inf, net.state_dict(), 0
        for step in range(1, STEPS + 1):
            pick = rows[torch.randint(len(rows), (min(BATCH, len(rows)),))]
            loss = F.cross_entropy(net(signals[pick]), targets[pick])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step % CHECK_EVERY:
                continue
            held = _loss(net, signals[back], targets[back])
            waited = 0 if held < best - LEAST_GAIN else waited + 1
            if held < best:
                best, kept = held, {name: value.clone() for name, value in net.state_dict().items()}
            if waited == PATIENCE:
                break
    net.load_state_dict(kept)
    return lambda asked: _answers(net, asked)


@torch.no_grad()
def _loss(net: nn.Module, signals: Tensor, targets: Tensor) -> float:
    net.eval()
    loss = F.cross_entropy(net(signals), targets).item()
    net.train()
    return loss


@torch.no_grad()
def _answers(net: nn.Module, signals: Tensor) -> np.ndarray:
    net.eval()
    return net(signals).argmax(dim=1).numpy()
