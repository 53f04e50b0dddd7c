from .config import MODEL_FAMILIES, TrainingConfig
from .loop import TrainingResult, train

__all__ = [
    "MODEL_FAMILIES",
    "TrainingConfig",
    "TrainingResult",
    "train",
]
