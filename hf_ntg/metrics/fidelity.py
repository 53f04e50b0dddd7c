"""All metrics at once, each beside real held-out flows and baselines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from datasets import Dataset
from tqdm import tqdm

import hf_ntg
from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.schema import conform_flows
from hf_ntg.generation.generator import FlowGenerator
from hf_ntg.metrics.distance import FLOW_SIZE_DISTANCE, LENGTH_DISTANCE, TIMING_DISTANCE
from hf_ntg.metrics.divergence import FLOW_JSD, FLOW_TV, NGRAM_JSD
from hf_ntg.metrics.info import MetricInfo
from hf_ntg.metrics.membership import LIKELIHOOD_MEMBERSHIP, Scorer, likelihood_membership
from hf_ntg.metrics.neighbours import COVERAGE, MEMBERSHIP_INFERENCE, NEAREST_DISTANCE, ratio
from hf_ntg.metrics.novelty import COPY_RATE
from hf_ntg.metrics.order import AUTOCORRELATION_DISTANCE, BURST_DISTANCE, DIRECTION_DISTANCE
from hf_ntg.metrics.profile import describe_flows
from hf_ntg.metrics.protocol import VALIDITY
from hf_ntg.metrics.utility import TSTR
from hf_ntg.metrics.views import FlowSet, view_flows
from hf_ntg.metrics.whole import C2ST, CORRELATION_DIFFERENCE, MMD
from hf_ntg.models.baselines import NGram, make_baseline

__all__ = ["FLOW_FIDELITY", "METRICS", "evaluate_flows", "flow_fidelity", "measure"]

METRICS: tuple[MetricInfo, ...] = (
    FLOW_JSD,
    FLOW_TV,
    LENGTH_DISTANCE,
    TIMING_DISTANCE,
    FLOW_SIZE_DISTANCE,
    NGRAM_JSD,
    DIRECTION_DISTANCE,
    BURST_DISTANCE,
    AUTOCORRELATION_DISTANCE,
    C2ST,
    MMD,
    CORRELATION_DIFFERENCE,
    COVERAGE,
    TSTR,
    COPY_RATE,
    NEAREST_DISTANCE,
    MEMBERSHIP_INFERENCE,
    VALIDITY,
)


def evaluate_flows(
    train: Dataset,
    test: Dataset,
    synthetic: Dataset,
    *,
    max_packets: int = 10,
    seed: int = 0,
    baselines: Sequence[str] = ("replay", "4-gram"),
    log_likelihood: Scorer | None = None,
) -> dict:
    """Judge synthetic flows: every metric for them, for real flows, and for baselines.

    The column ``real`` holds what real flows reach: the training flows held against the test flows, which is the best
    a generator can hope for. For copies and nearest neighbours it is the test flows held against the training flows;
    for membership inference half of the test flows stand in for synthetic ones, and the other half are the unseen.
    Baselines are fitted on `train` and draw as many flows of each class as `synthetic` has.

    Args:
        train: real flows the generator was trained on. test: real flows it has not seen. synthetic: its flows.
        max_packets: flows are judged on their first so many packets.
        baselines: names that :func:`hf_ntg.models.baselines.make_baseline` knows.
        log_likelihood: of the generator behind `synthetic`, where it has one (see
            :func:`hf_ntg.metrics.membership.likelihood_membership`): adds that metric, for it and for n-grams. It is
            asked about flows cut to `max_packets`, which should be what the generator learned.

    Returns:
        Plain data, fit for JSON. ``columns``: names of the judged sets. ``metrics``: for each metric what it is
        (``title``, ``group``, ``unit``, ``better``, ``range``, ``formula``, ``source``) and ``columns``, the whole
        result for each judged set; where training flows are what is measured against, its ``ratio`` to the real column
        too. ``sets``: flows and classes of each table. ``held_out_nats``: mean negative log-likelihood of a test flow,
        nats, for baselines that have one. ``profiles``: what the flows look like, see
        :func:`hf_ntg.metrics.profile.describe_flows`. ``notes``: what was left out or scored by rule, in words.

    Raises:
        InputError: a table does not keep to the schema or holds no labelled flow, no class of `synthetic` is in
            `test`, a baseline does not exist, or `max_packets` is not positive.
    """
    if max_packets < 1:
        raise InputError(f"max_packets {max_packets}: flows are judged on at least one packet")
    given = {"train": train, "test": test, "synthetic": synthetic}
    arrays = {name: _labelled(flows, f"{name} flows").head(max_packets) for name, flows in given.items()}
    counts = {name: Counter(flows.label.tolist()) for name, flows in arrays.items()}
    if len(arrays["test"]) < 2:
        raise InputError("test flows: one flow is too few to judge by; bring more")
    for name in ("train", "test"):
        if not counts["synthetic"].keys() & counts[name].keys():
            raise InputError(
                f"synthetic flows: none of their labels is among those of the {name} flows; compare like with like"
            )
    fitted = {name: make_baseline(name).fit(arrays["train"], max_packets) for name in baselines}
    wanted = {label: count for label, count in counts["synthetic"].items() if label in counts["train"]}
    judged = {"real": arrays["train"], "synthetic": arrays["synthetic"]}
    for name, model in fitted.items():
        judged[name] = FlowArrays.from_dataset(FlowGenerator(model).generate(label=wanted, seed=seed))
    metrics = _measure(arrays["train"], arrays["test"], judged, max_packets, seed)
    if log_likelihood is not None:
        scorers = {"synthetic": log_likelihood} | {
            name: model.log_likelihood for name, model in fitted.items() if isinstance(model, NGram)
        }
        metrics[LIKELIHOOD_MEMBERSHIP.name] = _judge_likelihoods(scorers, arrays, list(judged), max_packets, seed)
    shown = {"real": arrays["test"]} | {name: flows for name, flows in judged.items() if name != "real"}
    return {
        "hf_ntg": hf_ntg.__version__,
        "max_packets": max_packets,
        "seed": seed,
        "columns": list(judged),
        "sets": {name: {"flows": found.total(), "classes": len(found)} for name, found in counts.items()},
        "metrics": metrics,
        "held_out_nats": {
            name: -float(model.log_likelihood(arrays["test"]).mean())
            for name, model in fitted.items()
            if isinstance(model, NGram)
        },
        "profiles": describe_flows(shown, max_packets),
        "notes": _notes(counts, {name: len(flows) - len(arrays[name]) for name, flows in given.items()}),
    }


def flow_fidelity(
    real: FlowSet, synthetic: FlowSet, train: FlowSet, max_packets: int = 10, seed: int = 0
) -> dict[str, float | None]:
    """The ``overall`` of every metric, and under ``real_<name>`` what real flows reach in the place of synthetic ones.

    Args:
        real: real flows that the generator has not seen. train: those that it was trained on.
    """
    _, views = view_flows(train, real, synthetic, max_packets=max_packets)
    columns = {"real_": views[0].flows, "": views[2].flows}
    return {
        prefix + metric.name: measure(
            metric, prefix.rstrip("_") or "synthetic", views[0].flows, views[1].flows, judged, max_packets, seed
        )["overall"]
        for metric in METRICS
        for prefix, judged in columns.items()
    }


def _measure(
    train: FlowArrays, test: FlowArrays, judged: dict[str, FlowArrays], max_packets: int, seed: int
) -> dict[str, dict]:
    found = {metric.name: _described(metric) for metric in METRICS}
    work = [(metric, name) for metric in METRICS for name in judged]
    bar = tqdm(work, desc="judging", unit="score", disable=None, leave=False)
    for metric, name in bar:
        bar.set_postfix_str(f"{metric.name}, {name}")
        found[metric.name]["columns"][name] = measure(metric, name, train, test, judged[name], max_packets, seed)
    for metric in METRICS:
        if metric.against == "train":
            columns = found[metric.name]["columns"]
            for column in columns.values():
                column["ratio"] = ratio(column["overall"], columns["real"]["overall"])
    return found


def _described(metric: MetricInfo) -> dict:
    told = ("title", "group", "unit", "better", "range", "formula", "source")
    found = {name: getattr(metric, name) for name in told}
    return found | {"range": list(metric.range), "columns": {}}


def _judge_likelihoods(
    scorers: dict[str, Scorer], arrays: dict[str, FlowArrays], columns: list[str], max_packets: int, seed: int
) -> dict:
    nothing = {"overall": None, "per_class": {}, "reason": "no likelihoods"}
    return _described(LIKELIHOOD_MEMBERSHIP) | {
        "columns": {
            name: likelihood_membership(
                arrays["test"], arrays["train"], scorers[name], max_packets=max_packets, seed=seed
            )
            if name in scorers
            else nothing
            for name in columns
        }
    }


def measure(
    metric: MetricInfo,
    name: str,
    train: FlowArrays,
    test: FlowArrays,
    judged: FlowArrays,
    max_packets: int = 10,
    seed: int = 0,
) -> dict:
    """One metric of one judged set, held against the real flows that it asks for.

    Args:
        name: of the column: ``real`` puts real flows in the part of `judged`, see :func:`evaluate_flows`.
    """
    options: dict = {"max_packets": max_packets}
    if metric.seeded:
        options["seed"] = seed
    if metric.needs_train:
        options["train"] = train
    return metric.compute(*_opposites(metric, name, train, test, judged, seed), **options)


def _opposites(
    metric: MetricInfo, name: str, train: FlowArrays, test: FlowArrays, judged: FlowArrays, seed: int
) -> tuple[FlowArrays, FlowArrays]:
    """The real flows, and those that are held against them."""
    if name == "real" and metric.needs_train:  # fresh real flows in the part of synthetic ones: half of the test flows
        order = np.random.default_rng(seed).permutation(len(test))
        return test.take(order[::2]), test.take(order[1::2])
    if metric.against == "train":
        return train, test if name == "real" else judged
    return test, judged


def _labelled(flows: Dataset, source: str) -> FlowArrays:
    arrays = FlowArrays.from_dataset(conform_flows(flows, source))
    labelled = np.array([label is not None for label in arrays.label], dtype=bool)
    if not labelled.any():
        raise InputError(f"{source}: none has a label; fill the column 'label'")
    return arrays if labelled.all() else arrays.take(labelled)


def _notes(counts: dict[str, Counter], unlabelled: dict[str, int]) -> list[str]:
    notes = [f"{number} {name} flows have no label and were left out." for name, number in unlabelled.items() if number]
    missing = sorted(counts["test"].keys() - counts["synthetic"].keys())
    if missing:
        notes.append(
            f"{len(missing)} classes of the test flows have no synthetic flow ({', '.join(missing)}): they score the "
            "worst divergence and F1, and are left out of distances, which have no worst value."
        )
    untested = sorted((counts["train"].keys() | counts["synthetic"].keys()) - counts["test"].keys())
    if untested:
        train, synthetic = (sum(counts[name][label] for label in untested) for name in ("train", "synthetic"))
        notes.append(
            f"{len(untested)} classes are not among the test flows ({', '.join(untested)}; {train} training and "
            f"{synthetic} synthetic flows): they are not judged, but a classifier may mistake test flows for them."
        )
    unknown = sorted(counts["synthetic"].keys() - counts["train"].keys())
    if unknown:
        notes.append(f"No baseline can make the synthetic labels {', '.join(unknown)}: no training flow has them.")
    made, trained = (counts[name].total() for name in ("synthetic", "train"))
    if made != trained:
        notes.append(
            f"There are {made} synthetic flows (and as many of each baseline) against {trained} training flows in the "
            "column 'real': a bigger sample lowers divergences and teaches a classifier more."
        )
    return notes


FLOW_FIDELITY = MetricInfo(
    name="flow_fidelity",
    title="All metrics of flow tables",
    group="whole",
    unit="that of each metric",
    range=(None, None),
    better="real",
    formula="every metric's overall figure, beside that of real flows in the place of synthetic ones",
    source="each metric's own",
    compute=flow_fidelity,
    needs_train=True,
    seeded=True,
)
