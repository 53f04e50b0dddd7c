"""Traffic classifiers that are trained on one set of flows and tested on another."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np
import torch

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.metrics.utility import MOST_TAUGHT, Classifier, make_classifier, score_answers
from hf_ntg.metrics.views import FlowView, cut_to, view_flows
from hf_ntg.study.axes.cesnet_network import CesnetInputs, make_cesnet_network
from hf_ntg.study.axes.networks import PacketCNN, Schedule, packet_inputs, train_network

__all__ = ["CLASSIFIERS", "EXTRA_CLASSIFIERS", "teach_and_test"]

CLASSIFIERS = ("random_forest", "gradient_boosting", "cnn")
EXTRA_CLASSIFIERS = ("mm_cesnet_v2",)  # these need another package


def teach_and_test(name: str, test: FlowArrays, taught: FlowArrays, max_packets: int, seed: int) -> dict:
    """Train the classifier `name` on `taught` and test it on `test`.

    ``random_forest`` and ``gradient_boosting`` are those of :func:`hf_ntg.metrics.utility.tstr`, on directions and
    lengths. ``cnn`` is a :class:`hf_ntg.study.axes.networks.PacketCNN` on directions, lengths and, where both sets have
    them, times. It trains in seconds, whatever the number of flows. ``mm_cesnet_v2`` is the network of the package
    cesnet-models with fresh weights, on the same inputs and statistics of the flow. It trains in minutes.

    At most 50,000 flows are trained on, drawn by `seed` without replacement.

    Returns:
        ``macro_f1``, ``weighted_f1``, ``accuracy``; ``per_class`` F1; ``confusion``: [true class, predicted class,
        flows] for every pair that occurs; ``taught``: number of flows trained on; ``inputs``: what the classifier sees
        of a flow.

    Raises:
        InputError: there is no such classifier, or its package is not installed.
    """
    names, views = view_flows(test, taught, max_packets=max_packets)
    asked, teacher = views[0], cut_to(views[1], MOST_TAUGHT, seed)
    if name in ("cnn", "mm_cesnet_v2"):
        timed = all(view.flows.inter_arrival_time is not None for view in views)
        said, inputs = _ask_network(name, teacher, asked, timed, seed)
    elif name in CLASSIFIERS:
        model = make_classifier(cast(Classifier, name), teacher, seed, jobs=torch.get_num_threads())
        said = model.fit(teacher.signed_sizes, teacher.classes).predict(asked.signed_sizes)
        inputs = ["direction and length"]
    else:
        raise InputError(f"no classifier {name!r}; choose one of {', '.join(CLASSIFIERS + EXTRA_CLASSIFIERS)}")
    scores = score_answers(names, asked, said)
    pairs, flows = np.unique(np.stack([asked.classes, said]), axis=1, return_counts=True)
    confusion = [[names[true], names[wrong], int(count)] for (true, wrong), count in zip(pairs.T, flows, strict=True)]
    details = {"confusion": confusion, "taught": len(teacher), "inputs": inputs}
    return {"macro_f1": scores.pop("overall"), **scores, **details}


def _ask_network(name: str, teacher: FlowView, asked: FlowView, timed: bool, seed: int) -> tuple[np.ndarray, list[str]]:
    """Train a network on `teacher`; returns its predictions for `asked`, (N,), and the names of its inputs."""
    inputs = ["direction and length", *(["time"] if timed else [])]
    schedule = Schedule()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net: torch.nn.Module
        if name == "cnn":
            net = PacketCNN(teacher.max_packets, teacher.num_classes)
            known, wanted = (packet_inputs(view, timed) for view in (teacher, asked))
        else:
            net = make_cesnet_network(teacher.num_classes)
            scaled = CesnetInputs(teacher, timed)
            known, wanted = scaled(teacher), scaled(asked)
            inputs.append("statistics of the flow")
            schedule = replace(schedule, rate=1e-3)
        return train_network(net, known, teacher.classes, schedule, seed)(wanted), inputs
