"""SMOTE: new flows by interpolation between a training flow and one of its nearest neighbours."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np

from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.schema import MAX_SEGMENT
from hf_ntg.models.baselines.baseline import Baseline
from hf_ntg.models.baselines.headers import HeaderTable

__all__ = ["Smote"]

_LARGEST = MAX_SEGMENT  # bytes: a full packet has coordinate 1
_LEAST_TIME, _DECADES = 1e-6, 7  # times from a microsecond to ten seconds have coordinates 0 to 1


class Smote(Baseline):
    """Interpolates between a training flow and one of its five nearest neighbours of the class, at a uniform position.

    A flow is a point of three or four numbers a packet: whether it is there (0 or 1), its direction (1 or -1; 0 where
    there is none), the square root of its payload length over 1,460 bytes, and the logarithm of its inter-arrival time.
    A point becomes a flow again as follows: the flow ends at the first packet with a presence below 0.5, the sign gives
    the direction, and lengths are rounded to bytes. A class with one training flow repeats it. Protocol and ports come
    from :class:`hf_ntg.models.baselines.headers.HeaderTable`.

    Source: Chawla, Bowyer, Hall, Kegelmeyer, SMOTE: synthetic minority over-sampling technique, JAIR 16, 2002;
    computed by imbalanced-learn.
    """

    kind = "smote"
    neighbours = 5

    def _fit(self, flows: FlowArrays, classes: np.ndarray) -> None:
        self.points, self.classes = _as_points(flows, self.max_packets), classes
        self.headers = HeaderTable.fit(flows, classes)

    def _generate(self, classes: np.ndarray, rng: np.random.Generator) -> FlowArrays:
        made = np.empty((len(classes), self.points.shape[1]), dtype=np.float32)
        for label in np.unique(classes):
            wanted = classes == label
            made[wanted] = _oversample(self.points[self.classes == label], wanted.sum(), self.neighbours, rng)
        shortest = 1 if self.view == "payload" else 0
        flows = _as_flows(made, self.max_packets, np.array(self.labels, dtype=object)[classes], shortest)
        return self.headers.give(flows, classes, rng)

    def _tensors(self) -> dict[str, np.ndarray]:
        return {"points": self.points, "classes": self.classes} | self.headers.tensors()

    def _restore(self, tensors: dict[str, np.ndarray]) -> None:
        self.points, self.classes = tensors["points"], tensors["classes"]
        self.headers = HeaderTable.restore(tensors)


def _oversample(points: np.ndarray, count: int, neighbours: int, rng: np.random.Generator) -> np.ndarray:
    """(count, D) new points between the (n, D) `points` of one class."""
    from imblearn.over_sampling import SMOTE  # takes a second, and pandas

    n = len(points)
    if n == 1:
        return np.repeat(points, count, axis=0)
    smote = SMOTE(
        sampling_strategy={1: n + count}, k_neighbors=min(neighbours, n - 1), random_state=int(rng.integers(2**31))
    )
    # SMOTE balances classes and needs a second one; this one is not oversampled.
    with_other = np.concatenate([points, np.zeros_like(points[:1])])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "After over-sampling", UserWarning)  # about classes that are not balanced
        found, _ = smote.fit_resample(with_other, np.repeat([1, 0], [n, 1]))
    return found[n + 1 :]


def _as_points(flows: FlowArrays, width: int) -> np.ndarray:
    """(N, 3 or 4 times `width`) float32."""
    there = np.arange(width) < flows.num_packets[:, None]
    parts = [
        there,
        flows.padded("direction", width),
        np.sqrt(flows.padded("payload_length", width) / _LARGEST),
    ]
    if flows.inter_arrival_time is not None:
        seconds = np.maximum(flows.padded("inter_arrival_time", width), _LEAST_TIME)
        parts.append(np.log10(seconds / _LEAST_TIME) / _DECADES)
    return np.concatenate(parts, axis=1, dtype=np.float32)


def _as_flows(points: np.ndarray, width: int, labels: np.ndarray, shortest: int) -> FlowArrays:
    """The inverse of :func:`_as_points`, for any points; a first packet is always there.

    No payload is shorter than `shortest` bytes.
    """
    there, direction, length, *time = np.split(points.astype(np.float64), points.shape[1] // width, axis=1)
    kept = np.logical_and.accumulate(there >= 0.5, axis=1)
    kept[:, 0] = True
    flows = FlowArrays(
        offsets=np.concatenate([[0], np.cumsum(kept.sum(axis=1))]),
        payload_length=np.rint(_LARGEST * length[kept] ** 2).astype(np.int32).clip(min=shortest),
        direction=np.where(direction[kept] >= 0, 1, -1).astype(np.int8),
        label=labels,
    )
    if not time:
        return flows
    seconds = np.where(time[0] > 0, _LEAST_TIME * 10 ** (_DECADES * time[0]), 0)
    seconds[:, 0] = 0
    return replace(flows, inter_arrival_time=seconds[kept].astype(np.float32))
