"""Warnings about flow tables that are valid and yet unlikely to be what the user wants to train on."""

from __future__ import annotations

from collections import Counter

import numpy as np

from hf_ntg.flows.arrays import FlowArrays

__all__ = ["training_warnings"]

_FEW_FLOWS = 100
_FEW_OF_CLASS = 5
_SHOWN = 5
_FEW_STEPS = 50
_SERVICES = {53: "dns", 80: "http", 123: "ntp", 443: "https"}
_ALIASES = {"https": {"https", "tls", "ssl", "quic"}, "http": {"http"}, "dns": {"dns"}, "ntp": {"ntp"}}
_MISLABELLED = 0.05  # share of a class on another service's port that is worth a warning


def training_warnings(flows: FlowArrays, steps: int | None = None) -> list[str]:
    """One line for everything about `flows` that makes a training on them doubtful.

    Args:
        flows: the training flows.
        steps: optimizer steps of the training, if known.
    """
    found = []
    if len(flows) < _FEW_FLOWS:
        found.append(f"{len(flows)} flows: a model learns little from fewer than {_FEW_FLOWS}")
    if steps is not None and steps < _FEW_STEPS:
        found.append(f"{steps} training steps: too few to learn much; raise epochs or lower the batch size")
    counts = Counter(flows.label.tolist())
    rare = sorted(str(name) for name, count in counts.items() if name is not None and count < _FEW_OF_CLASS)
    if rare:
        shown = ", ".join(rare[:_SHOWN]) + (", …" if len(rare) > _SHOWN else "")
        verb = "class has" if len(rare) == 1 else "classes have"
        found.append(f"{len(rare)} {verb} fewer than {_FEW_OF_CLASS} flows ({shown}): bring more of them")
    unlabelled = counts.pop(None, 0)
    if unlabelled and counts:
        found.append(
            f"{unlabelled} of {len(flows)} flows have no label: they form a class without a name; "
            "'ntg import --labelled-only' leaves them out"
        )
    if len(counts) == 1 and not unlabelled:
        found.append(f"all flows are of one class ({next(iter(counts))!r})")
    if not counts:
        found.append("no flow has a label: the model learns one class without a name")
    return found + _mislabelled(flows, counts)


def _mislabelled(flows: FlowArrays, counts: Counter) -> list[str]:
    """Classes named after a service that hold many flows to the port of another service."""
    if flows.destination_port is None:
        return []
    found = []
    for name, aliases in _ALIASES.items():
        for label in (one for one in counts if str(one).lower() in aliases):
            ports = flows.destination_port[flows.label == label]
            for port, service in _SERVICES.items():
                share = float(np.mean(ports == port))
                if service != name and share >= _MISLABELLED:
                    found.append(f"class {label!r}: {share:.0%} of its flows go to port {port} ({service})")
    return found
