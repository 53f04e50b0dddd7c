"""Preparation of an evaluation's flow tables: packet view and number of packets as in the generator."""

from __future__ import annotations

import numpy as np
from datasets import Dataset

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays, as_arrays
from hf_ntg.flows.provenance import provenance_of
from hf_ntg.flows.view import in_one_view

__all__ = ["DEFAULT_PACKETS", "check_marked", "judged_packets", "judged_sets", "labelled_flows", "view_notes"]

DEFAULT_PACKETS = 10


def judged_packets(max_packets: int | None, synthetic: object) -> int:
    """Number of packets of a flow that are evaluated.

    Args:
        max_packets: the requested number; None: 10, or as many as the generator makes.
        synthetic: the generator's flows, whose marks say how many packets it makes at most.

    Raises:
        InputError: `max_packets` is not positive, or more than the generator makes: real flows would continue where
            synthetic ones must end.
    """
    marks = provenance_of(synthetic) if isinstance(synthetic, Dataset) else ()
    made = min((mark.max_packets for mark in marks if mark.max_packets is not None), default=None)
    if max_packets is None:
        return min(DEFAULT_PACKETS, made or DEFAULT_PACKETS)
    if max_packets < 1:
        raise InputError(f"max_packets {max_packets}: flows are judged on at least one packet")
    if made is not None and max_packets > made:
        raise InputError(
            f"max_packets {max_packets}: the generator of the synthetic flows makes at most {made} packets of a flow; "
            f"judge on {made} or fewer"
        )
    return max_packets


def judged_sets(tables: dict[str, FlowArrays], view: str | None) -> tuple[dict[str, FlowArrays], dict[str, int], str]:
    """Put labelled tables into one packet view: `view`, else that of the synthetic flows, else ``all``.

    Args:
        tables: by name; ``synthetic``, ``train`` and ``test`` are among them.

    Returns:
        As :func:`hf_ntg.flows.view.in_one_view`: the tables, how many flows dropped out of each, and the view.

    Raises:
        InputError: the tables are in different views, or nothing says in which view the synthetic flows are.
    """
    check_marked(tables, view)
    return in_one_view(tables, view)


def check_marked(tables: dict[str, FlowArrays], view: str | None) -> None:
    """Refuse to guess the packet view of synthetic flows that do not name it and hold no empty packet.

    Raises:
        InputError: the real flows hold empty packets, the synthetic ones do not, and `view` is None.
    """
    if view is not None or tables["synthetic"].view is not None:
        return
    empty = {name: bool((flows.payload_length == 0).any()) for name, flows in tables.items()}
    if empty["train"] and empty["test"] and not empty["synthetic"]:
        raise InputError(
            "synthetic flows: they hold no empty packet, the real ones do, and nothing says which packet view they are "
            "in; give view 'payload' (packets that carry data) or 'all'"
        )


def labelled_flows(flows: object, source: str) -> FlowArrays:
    """The flows of a table that have a label.

    Raises:
        InputError: the table breaks the schema or holds no labelled flow; the message names `source`.
    """
    arrays = as_arrays(flows, source)
    labelled = np.array([label is not None for label in arrays.label], dtype=bool)
    if not labelled.any():
        raise InputError(f"{source}: none has a label; fill the column 'label'")
    return arrays if labelled.all() else arrays.take(labelled)


def view_notes(tables: dict[str, FlowArrays], dropped: dict[str, int], max_packets: int) -> list[str]:
    """Sentences about the flows that dropped out of the packet view, and about those that were cut too early."""
    notes = [
        f"{number} {name} flows carry no payload and were left out (packet view 'payload')."
        for name, number in dropped.items()
        if number
    ]
    for name, flows in tables.items():
        short = 0 if flows.cut is None else int((flows.cut & (flows.num_packets < max_packets)).sum())
        if short:
            notes.append(f"{short} {name} flows were cut before packet {max_packets}; they count as ended.")
    return notes
