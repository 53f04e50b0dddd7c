"""One Accelerate loop, one objective per family."""

from importlib import import_module

_HOMES = {
    "MODEL_FAMILIES": "hf_ntg.training.config",
    "TrainingConfig": "hf_ntg.training.config",
    "TrainingResult": "hf_ntg.training.loop",
    "train": "hf_ntg.training.loop",
}

__all__ = list(_HOMES)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'hf_ntg.training' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
