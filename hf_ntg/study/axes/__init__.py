"""The questions (axes) of a study, one module each, and the workbench that they share."""

from hf_ntg.study.axes.augmentation import judge_augmentation
from hf_ntg.study.axes.efficiency import judge_efficiency
from hf_ntg.study.axes.fidelity import judge_fidelity
from hf_ntg.study.axes.privacy import judge_privacy
from hf_ntg.study.axes.sampling import judge_sampling
from hf_ntg.study.axes.synthetic_only import judge_synthetic_only
from hf_ntg.study.axes.training_length import judge_training_length

__all__ = ["JUDGES"]

JUDGES = {
    "efficiency": judge_efficiency,
    "fidelity": judge_fidelity,
    "synthetic-only": judge_synthetic_only,
    "augmentation": judge_augmentation,
    "training-length": judge_training_length,
    "sampling": judge_sampling,
    "privacy": judge_privacy,
}
