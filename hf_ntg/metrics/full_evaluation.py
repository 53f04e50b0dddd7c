"""The full evaluation: every metric for synthetic flows, real flows and baselines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import asdict

import numpy as np
from datasets import Dataset

import hf_ntg
from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.provenance import provenance_of
from hf_ntg.generation.generator import FlowGenerator
from hf_ntg.metrics.evaluation import Evaluation
from hf_ntg.metrics.info import MetricInfo
from hf_ntg.metrics.judged_sets import judged_packets, judged_sets, labelled_flows, view_notes
from hf_ntg.metrics.membership import LIKELIHOOD_MEMBERSHIP, Scorer, likelihood_membership
from hf_ntg.metrics.neighbours import ratio
from hf_ntg.metrics.notes import evaluation_notes
from hf_ntg.metrics.profile import describe_flows
from hf_ntg.metrics.registry import METRICS, RealFlows, measure
from hf_ntg.models.baselines import NGram, make_baseline
from hf_ntg.progress import Progress

__all__ = ["evaluate_flows"]

_THREADS = 2
_SLOW = ("c2st", "tstr")  # they take nine tenths of the time


def evaluate_flows(
    train: Dataset,
    test: Dataset,
    synthetic: Dataset,
    *,
    held_back: Dataset | None = None,
    max_packets: int | None = None,
    view: str | None = None,
    seed: int = 0,
    baselines: Sequence[str] = ("replay", "4-gram"),
    log_likelihood: Scorer | None = None,
) -> Evaluation:
    """Compute every metric for synthetic flows, for real flows, and for baselines.

    The column ``real`` holds the scores of real flows in place of synthetic ones, the best score that a generator can
    expect; :func:`hf_ntg.metrics.registry.measure` says which real flows these are. Baselines are fitted on `train`
    and generate as many flows of each class as `synthetic` has.

    Args:
        train: real flows that the generator was trained on. test: real flows that it has not seen. synthetic: its
            flows.
        held_back: more real flows that it has not seen, from the captures of `train`. Copies, nearest distances and
            membership inference are then measured against them. Without them the test flows are used; for membership
            inference only those of training captures, and with a split by capture it has no score.
        max_packets: flows are judged on this many packets, from the first; None: 10, or as many as the generator makes.
        view: packet view to judge in, see :func:`hf_ntg.flows.view.in_view`; None: the one of `synthetic`.
        baselines: names that :func:`hf_ntg.models.baselines.make_baseline` knows.
        log_likelihood: of the generator behind `synthetic`, where it has one (see
            :func:`hf_ntg.metrics.membership.likelihood_membership`): adds that metric, for it and for n-grams. It is
            called with flows cut to `max_packets`.

    Returns:
        A dictionary that JSON can hold; its ``to_pandas()`` is a table of the scores. ``view``: the packet view.
        ``made_by``: the provenance of the synthetic flows. ``columns``: names of the judged sets. ``metrics``: for each
        metric its description (``title``, ``group``, ``unit``, ``better``, ``range``, ``formula``, ``source``) and
        ``columns``, the whole result for each judged set; for distances to training flows also the ``ratio`` to the
        real column. ``sets``: flows and classes of each table. ``held_out_nats``: mean negative log-likelihood of a
        test flow, in nats, for baselines that have one. ``profiles``: see
        :func:`hf_ntg.metrics.profile.describe_flows`. ``notes``: sentences about what was left out or scored by rule.

    Raises:
        InputError: a table does not follow the schema or holds no labelled flow, no class of `synthetic` is in
            `test`, `held_back` has no flow of the training captures, a baseline does not exist, `max_packets` is not
            positive or more than the generator makes, or the tables are in different packet views.
    """
    max_packets = judged_packets(max_packets, synthetic)
    given = {"train": train, "test": test, "synthetic": synthetic}
    if held_back is not None:
        given["held_back"] = held_back
    labelled = {name: labelled_flows(flows, f"{name} flows") for name, flows in given.items()}
    unlabelled = {name: len(flows) - len(labelled[name]) for name, flows in given.items()}
    _check_classes({name: Counter(flows.label.tolist()) for name, flows in labelled.items()})
    seen, dropped, view = judged_sets(labelled, view)
    arrays = {name: flows.head(max_packets) for name, flows in seen.items()}
    counts = {name: Counter(flows.label.tolist()) for name, flows in arrays.items()}
    _check_classes(counts)
    real = RealFlows(arrays["train"], arrays["test"], _held_back_of(arrays))
    fitted = {name: make_baseline(name).fit(arrays["train"], max_packets) for name in baselines}
    wanted = {label: count for label, count in counts["synthetic"].items() if label in counts["train"]}

    def draw_baselines() -> dict[str, FlowArrays]:
        return {
            name: FlowArrays.from_dataset(FlowGenerator(model).generate(label=wanted, seed=seed))
            for name, model in fitted.items()
        }

    judged, metrics = _measure_all(real, arrays["synthetic"], draw_baselines, max_packets, seed)
    if log_likelihood is not None:
        scorers = {"synthetic": log_likelihood} | {
            name: model.log_likelihood for name, model in fitted.items() if isinstance(model, NGram)
        }
        metrics[LIKELIHOOD_MEMBERSHIP.name] = _judge_likelihoods(scorers, real, list(judged), max_packets, seed)
    shown = {"real": real.test} | {name: flows for name, flows in judged.items() if flows is not None}
    found = {
        "hf_ntg": hf_ntg.__version__,
        "max_packets": max_packets,
        "view": view,
        "seed": seed,
        "made_by": [asdict(mark) for mark in provenance_of(synthetic)] if isinstance(synthetic, Dataset) else [],
        "columns": list(judged),
        "sets": {name: {"flows": found.total(), "classes": len(found)} for name, found in counts.items()},
        "metrics": metrics,
        "held_out_nats": {
            name: -float(model.log_likelihood(real.test).mean())
            for name, model in fitted.items()
            if isinstance(model, NGram)
        },
        "profiles": describe_flows(shown, max_packets),
        "notes": view_notes(arrays, dropped, max_packets) + evaluation_notes(counts, unlabelled, real, metrics),
    }
    return Evaluation(found)


def _measure_all(
    real: RealFlows,
    synthetic: FlowArrays,
    draw_baselines: Callable[[], dict[str, FlowArrays]],
    max_packets: int,
    seed: int,
) -> tuple[dict[str, FlowArrays | None], dict[str, dict]]:
    """Compute every metric for every set.

    Args:
        draw_baselines: draws the flows of each baseline; it is called while the first metrics are computed.

    Returns:
        The judged sets, None in place of the real flows; and by metric its description and the result for each set.
    """
    # Two threads: a forest's trees and NumPy's loops leave the interpreter to the other thread. The slow metrics come
    # first, a forest next to each boosting, which needs the interpreter most.
    judged: dict[str, FlowArrays | None] = {"real": None, "synthetic": synthetic}
    slow = [metric for metric in METRICS if metric.name in _SLOW]
    quick = [metric for metric in METRICS if metric.name not in _SLOW]
    jobs: dict[tuple[str, str], Future[dict]] = {}
    with ThreadPoolExecutor(_THREADS) as pool:

        def start(metrics: Iterable[MetricInfo], names: Iterable[str]) -> None:
            for name in names:
                for metric in metrics:
                    jobs[metric.name, name] = pool.submit(measure, metric, real, judged[name], max_packets, seed)

        try:
            start(slow, list(judged))
            baselines = draw_baselines()
            judged |= baselines
            start(slow, baselines)
            start(quick, judged)
            with Progress("judging", len(jobs), "score", leave=False) as bar:
                for job in as_completed(jobs.values()):
                    job.result()
                    bar.update()
        finally:  # after an error or Ctrl-C, do not start the remaining metrics
            pool.shutdown(wait=False, cancel_futures=True)
    found = {
        metric.name: _described(metric) | {"columns": {name: jobs[metric.name, name].result() for name in judged}}
        for metric in METRICS
    }
    for metric in METRICS:
        if metric.against == "train":
            columns = found[metric.name]["columns"]
            for column in columns.values():
                column["ratio"] = ratio(column["overall"], columns["real"]["overall"])
    return judged, found


def _described(metric: MetricInfo) -> dict:
    shown = ("title", "group", "unit", "better", "range", "formula", "source")
    found = {name: getattr(metric, name) for name in shown}
    return found | {"range": list(metric.range)}


def _judge_likelihoods(
    scorers: dict[str, Scorer], real: RealFlows, columns: list[str], max_packets: int, seed: int
) -> dict:
    """Membership inference by likelihood for the columns whose generator has a likelihood."""
    found: dict[str, dict] = {}
    for name in columns:
        reason = "no likelihoods"
        if name in scorers:
            try:
                found[name] = likelihood_membership(
                    real.unseen, real.train, scorers[name], max_packets=max_packets, seed=seed
                )
                continue
            except InputError as error:  # such as an unseen flow with a protocol that the model does not know
                reason = str(error)
        found[name] = {"overall": None, "per_class": {}, "reason": reason}
    return _described(LIKELIHOOD_MEMBERSHIP) | {"columns": found}


def _check_classes(counts: dict[str, Counter]) -> None:
    if counts["test"].total() < 2:
        raise InputError("test flows: one flow is too few to judge by; bring more")
    for name in ("train", "test"):
        if not counts["synthetic"].keys() & counts[name].keys():
            raise InputError(
                f"synthetic flows: none of their labels is among those of the {name} flows; compare like with like"
            )


def _held_back_of(arrays: dict[str, FlowArrays]) -> FlowArrays | None:
    """The held-back flows, if any are given.

    Raises:
        InputError: they name their captures, and none is a capture of the training flows.
    """
    flows, train = arrays.get("held_back"), arrays["train"]
    if flows is None or flows.capture is None or train.capture is None:
        return flows
    known = set(train.capture.tolist()) - {None}
    kept = np.array([name is None or name in known for name in flows.capture], dtype=bool)
    if known and not kept.any():
        raise InputError(
            "held_back flows: none comes from a capture of the train flows; hold back flows of the training captures"
        )
    return flows.take(kept) if known else flows
