"""`evaluate.load` takes this folder; the plain function is `hf_ntg.metrics.order.burst_distance`."""

from hf_ntg.metrics.flow_metric import FlowMetric
from hf_ntg.metrics.order import BURST_DISTANCE


class BurstDistance(FlowMetric):
    """See `hf_ntg.metrics.order.burst_distance`."""

    metric = BURST_DISTANCE
