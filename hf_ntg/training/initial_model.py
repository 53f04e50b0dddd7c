"""Settings that a model which is fine-tuned takes from the model that it starts from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hf_ntg.errors import InputError
from hf_ntg.model_files import check_model_folder, model_folder
from hf_ntg.model_files.causal import SIZE_FIELDS

__all__ = ["initial_settings"]


def initial_settings(source: str | Path) -> dict[str, Any]:
    """Family (``model``), ``view``, ``max_packets``, ``width`` and ``layers`` of the causal model at `source`.

    Args:
        source: folder or Hub id.

    Raises:
        InputError: there is no such model, or it is not a causal one.
    """
    try:
        folder = model_folder(source)
        kind = check_model_folder(folder)
    except InputError as error:
        raise InputError(f"initial_model {source}: no causal model of hf_ntg to start from ({error})") from error
    if kind != "causal":
        raise InputError(f"initial_model {source}: a {kind} model has no words to carry over; choose a causal model")
    config, grammar = (
        json.loads((folder / name).read_text(encoding="utf-8")) for name in ("config.json", "flow_grammar.json")
    )
    family = config["model_type"]
    width, layers = (config[name] for name in SIZE_FIELDS[family])
    return {
        "model": family,
        "view": grammar.get("view", "all"),
        "max_packets": grammar["max_packets"],
        "width": width,
        "layers": layers,
    }
