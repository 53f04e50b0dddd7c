"""Few labelled flows: transformations by their standard names, augment(), and a classifier for few flows."""

from hf_ntg.augmentation.classifier import FewFlowsClassifier
from hf_ntg.augmentation.top_up import augment
from hf_ntg.augmentation.transformations import TRANSFORMATIONS, transform_flows

__all__ = ["TRANSFORMATIONS", "FewFlowsClassifier", "augment", "transform_flows"]
