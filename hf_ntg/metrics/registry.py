"""The registry of all metrics by name, and their computation for synthetic flows and for real flows in their place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.metrics.binned_ngrams import BINNED_NGRAMS
from hf_ntg.metrics.copies import ONCE_SEEN_COPIES
from hf_ntg.metrics.distance import FLOW_SIZE_DISTANCE, LENGTH_DISTANCE, TIMING_DISTANCE
from hf_ntg.metrics.divergence import FLOW_JSD, FLOW_TV, NGRAM_JSD
from hf_ntg.metrics.info import MetricInfo
from hf_ntg.metrics.membership import LIKELIHOOD_MEMBERSHIP
from hf_ntg.metrics.neighbours import COVERAGE, MEMBERSHIP_INFERENCE, NEAREST_DISTANCE
from hf_ntg.metrics.order import AUTOCORRELATION_DISTANCE, BURST_DISTANCE, DIRECTION_DISTANCE
from hf_ntg.metrics.protocol import VALIDITY
from hf_ntg.metrics.utility import TSTR
from hf_ntg.metrics.views import FlowSet, view_flows
from hf_ntg.metrics.whole import C2ST, CORRELATION_DIFFERENCE, MMD

__all__ = ["ALL_METRICS", "FLOW_FIDELITY", "METRICS", "RealFlows", "find_metric", "flow_fidelity", "measure"]

# In the order of reports. All of them are computed from flows alone.
METRICS: tuple[MetricInfo, ...] = (
    FLOW_JSD,
    FLOW_TV,
    LENGTH_DISTANCE,
    TIMING_DISTANCE,
    FLOW_SIZE_DISTANCE,
    NGRAM_JSD,
    BINNED_NGRAMS,
    DIRECTION_DISTANCE,
    BURST_DISTANCE,
    AUTOCORRELATION_DISTANCE,
    C2ST,
    MMD,
    CORRELATION_DIFFERENCE,
    COVERAGE,
    TSTR,
    ONCE_SEEN_COPIES,
    NEAREST_DISTANCE,
    MEMBERSHIP_INFERENCE,
    VALIDITY,
)


@dataclass(frozen=True)
class RealFlows:
    """The real flows that synthetic ones are compared with.

    Attributes:
        train: flows that the generator was trained on. test: flows that it has not seen.
        held_back: flows of the training captures that it has not seen, or None. Memorisation is measured against them:
            test flows of other captures differ from the training flows whatever the generator has memorised.
    """

    train: FlowArrays
    test: FlowArrays
    held_back: FlowArrays | None = None

    @property
    def unseen(self) -> FlowArrays:
        """The flows that represent unseen real traffic where memorisation is measured."""
        return self.test if self.held_back is None else self.held_back


def measure(
    metric: MetricInfo, real: RealFlows, judged: FlowArrays | None, max_packets: int = 10, seed: int = 0
) -> dict:
    """The result of one metric for the flows `judged`, or, where `judged` is None, for real flows in their place.

    Real flows in the place of synthetic ones are the training flows, compared with the test flows. For the distance to
    the training flows and for copies they are the unseen flows. For membership inference they are one half of the
    unseen flows, drawn by `seed`; the other half are the non-members in the attack.
    """
    options: dict = {"max_packets": max_packets}
    if metric.seeded:
        options["seed"] = seed
    if metric.needs_train:
        options["train"] = real.train
        unseen = real.unseen
        if judged is None and metric.name == MEMBERSHIP_INFERENCE.name:
            order = np.random.default_rng(seed).permutation(len(unseen))
            unseen, judged = unseen.take(order[::2]), unseen.take(order[1::2])
        return metric.compute(unseen, unseen if judged is None else judged, **options)
    if metric.against == "train":
        return metric.compute(real.train, real.unseen if judged is None else judged, **options)
    return metric.compute(real.test, real.train if judged is None else judged, **options)


def flow_fidelity(
    real: FlowSet, synthetic: FlowSet, train: FlowSet, max_packets: int = 10, seed: int = 0
) -> dict[str, float | None]:
    """The ``overall`` of every metric, and under ``real_<name>`` that of real flows in the place of synthetic ones.

    Args:
        real: real flows that the generator has not seen. train: those that it was trained on.
    """
    _, views = view_flows(train, real, synthetic, max_packets=max_packets)
    known = RealFlows(views[0].flows, views[1].flows)
    return {
        prefix + metric.name: measure(metric, known, judged, max_packets, seed)["overall"]
        for metric in METRICS
        for prefix, judged in (("real_", None), ("", views[2].flows))
    }


FLOW_FIDELITY = MetricInfo(
    name="flow_fidelity",
    title="All metrics of flow tables",
    group="whole",
    unit="that of each metric",
    range=(None, None),
    better="real",
    formula="every metric's overall score, and that of real flows in the place of synthetic ones",
    source="each metric's own",
    compute=flow_fidelity,
    needs_train=True,
    seeded=True,
)

ALL_METRICS: dict[str, MetricInfo] = {
    metric.name: metric for metric in (*METRICS, LIKELIHOOD_MEMBERSHIP, FLOW_FIDELITY)
}


def find_metric(name: str) -> MetricInfo:
    """The metric `name`.

    Raises:
        InputError: there is no such metric.
    """
    if name not in ALL_METRICS:
        raise InputError(f"{name}: no metric of hf_ntg; choose one of {', '.join(ALL_METRICS)}")
    return ALL_METRICS[name]
