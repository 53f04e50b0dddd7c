"""The guarantee of a finished model: read from its record, and put into words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hf_ntg.constants import RUN_FILE
from hf_ntg.json_files import read_object_or_empty

__all__ = ["guarantee_in_words", "read_guarantee"]


def read_guarantee(folder: Path) -> dict[str, Any] | None:
    """The entry ``privacy`` of a model's record; None for a model without a guarantee, or without a readable record."""
    facts = read_object_or_empty(folder / RUN_FILE).get("privacy")
    needed = ("epsilon", "delta", "unit")
    return facts if isinstance(facts, dict) and all(name in facts for name in needed) else None


def guarantee_in_words(facts: Mapping[str, Any]) -> str:
    """Such as ``epsilon 8, delta 1e-05 for one flow``."""
    return f"epsilon {facts['epsilon']:g}, delta {facts['delta']:.2g} for one {facts['unit']}"
