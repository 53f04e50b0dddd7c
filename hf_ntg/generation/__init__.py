"""From a trained model to flows: one face for all families, the prefix-tree sampler, streams, several processes."""

from hf_ntg.generation.augmentation import augment
from hf_ntg.generation.generator import FlowGenerator

__all__ = ["FlowGenerator", "augment"]
