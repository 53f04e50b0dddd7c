"""Reads the labels that this package writes to pcapng files, in comments on the first packet of each flow."""

from __future__ import annotations

import json

from hf_ntg.flows.capture_out.capture_record import COMMENT_PREFIX

__all__ = ["labels_of_comments"]


def labels_of_comments(comments: dict[int, bytes], numbers: list[int]) -> list[str | None]:
    """Return the labels of the flows whose first packets have the given `numbers`; None for a flow without a label.

    Args:
        comments: comments of packets by their numbers, in UTF-8. The ones used are removed.
    """
    return [_label(comments.pop(number, b"")) for number in numbers]


def _label(comment: bytes) -> str | None:
    if not comment.startswith(COMMENT_PREFIX):
        return None
    try:
        found = json.loads(comment[len(COMMENT_PREFIX) :])
    except (ValueError, RecursionError):
        return None
    label = found.get("label") if isinstance(found, dict) else None
    return label if isinstance(label, str) else None
