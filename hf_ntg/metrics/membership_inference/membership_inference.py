"""`evaluate.load` takes this folder; the plain function is `hf_ntg.metrics.neighbours.membership_inference`."""

from hf_ntg.metrics.flow_metric import FlowMetric
from hf_ntg.metrics.neighbours import MEMBERSHIP_INFERENCE


class MembershipInference(FlowMetric):
    """See `hf_ntg.metrics.neighbours.membership_inference`."""

    metric = MEMBERSHIP_INFERENCE
