"""`evaluate.load` takes this folder; the plain function is `hf_ntg.metrics.order.direction_distance`."""

from hf_ntg.metrics.flow_metric import FlowMetric
from hf_ntg.metrics.order import DIRECTION_DISTANCE


class DirectionDistance(FlowMetric):
    """See `hf_ntg.metrics.order.direction_distance`."""

    metric = DIRECTION_DISTANCE
