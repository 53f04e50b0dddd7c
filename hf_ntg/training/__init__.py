"""One Accelerate loop, one objective per family."""

from hf_ntg.lazy import attributes

_HOMES = {
    "MODEL_FAMILIES": "hf_ntg.training.config",
    "TrainingConfig": "hf_ntg.training.config",
    "TrainingResult": "hf_ntg.training.loop",
    "train": "hf_ntg.training.loop",
}

__all__ = list(_HOMES)
__getattr__ = attributes(__name__, _HOMES)
