"""Traffic classifiers that are trained on one set of flows and tested on another."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np
import torch

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.metrics.utility import MAX_TRAINING_FLOWS, Classifier, make_classifier, score_predictions
from hf_ntg.metrics.views import FlowView, cut_to, view_flows
from hf_ntg.study.axes.cesnet_network import CesnetInputs, make_cesnet_network
from hf_ntg.study.axes.networks import PacketCNN, Schedule, packet_inputs, train_network

__all__ = ["CLASSIFIERS", "EXTRA_CLASSIFIERS", "check_classifier", "train_and_test"]

CLASSIFIERS = ("random_forest", "gradient_boosting", "cnn")
EXTRA_CLASSIFIERS = ("mm_cesnet_v2",)  # these need another package


def check_classifier(name: str) -> None:
    """Refuse a classifier that does not exist.

    Raises:
        InputError: `name` is not one of `CLASSIFIERS` and `EXTRA_CLASSIFIERS`.
    """
    if name not in CLASSIFIERS + EXTRA_CLASSIFIERS:
        raise InputError(f"no classifier {name!r}; choose one of {', '.join(CLASSIFIERS + EXTRA_CLASSIFIERS)}")


def train_and_test(name: str, test: FlowArrays, training: FlowArrays, max_packets: int, seed: int) -> dict:
    """Train the classifier `name` on `training` and test it on `test`.

    ``random_forest`` and ``gradient_boosting`` are those of :func:`hf_ntg.metrics.utility.tstr`, on directions and
    lengths. ``cnn`` is a :class:`hf_ntg.study.axes.networks.PacketCNN` on directions, lengths and, where both sets have
    them, times. It trains in seconds, whatever the number of flows. ``mm_cesnet_v2`` is the network of the package
    cesnet-models with fresh weights, on the same inputs and statistics of the flow. It trains in minutes.

    At most 50,000 flows are trained on, drawn by `seed` without replacement.

    Returns:
        ``macro_f1``, ``weighted_f1``, ``accuracy``; ``per_class`` F1; ``confusion``: [true class, predicted class,
        flows] for every pair that occurs; ``training_flows``: number of flows trained on; ``inputs``: what the
        classifier sees of a flow.

    Raises:
        InputError: there is no such classifier, or its package is not installed.
    """
    names, views = view_flows(test, training, max_packets=max_packets)
    test_view, train_view = views[0], cut_to(views[1], MAX_TRAINING_FLOWS, seed)
    if name in ("cnn", "mm_cesnet_v2"):
        timed = all(view.flows.inter_arrival_time is not None for view in views)
        predicted, inputs = _network_predictions(name, train_view, test_view, timed, seed)
    else:
        check_classifier(name)
        model = make_classifier(cast(Classifier, name), train_view, seed, jobs=torch.get_num_threads())
        predicted = model.fit(train_view.signed_sizes, train_view.classes).predict(test_view.signed_sizes)
        inputs = ["direction and length"]
    scores = score_predictions(names, test_view, predicted)
    pairs, flows = np.unique(np.stack([test_view.classes, predicted]), axis=1, return_counts=True)
    confusion = [[names[true], names[wrong], int(count)] for (true, wrong), count in zip(pairs.T, flows, strict=True)]
    details = {"confusion": confusion, "training_flows": len(train_view), "inputs": inputs}
    return {"macro_f1": scores.pop("overall"), **scores, **details}


def _network_predictions(
    name: str, training: FlowView, test: FlowView, timed: bool, seed: int
) -> tuple[np.ndarray, list[str]]:
    """Train a network on `training`; returns its predictions for `test`, (N,), and the names of its inputs."""
    inputs = ["direction and length", *(["time"] if timed else [])]
    schedule = Schedule()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net: torch.nn.Module
        if name == "cnn":
            net = PacketCNN(training.max_packets, training.num_classes)
            known, wanted = (packet_inputs(view, timed) for view in (training, test))
        else:
            net = make_cesnet_network(training.num_classes)
            scaled = CesnetInputs(training, timed)
            known, wanted = scaled(training), scaled(test)
            inputs.append("statistics of the flow")
            schedule = replace(schedule, rate=1e-3)
        return train_network(net, known, training.classes, schedule, seed)(wanted), inputs
