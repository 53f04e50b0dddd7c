"""JSON files of which every reader needs only what is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["read_object_or_empty"]


def read_object_or_empty(path: str | Path) -> dict[str, Any]:
    """The JSON object in a file; empty if there is no such file, or none that holds an object."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
