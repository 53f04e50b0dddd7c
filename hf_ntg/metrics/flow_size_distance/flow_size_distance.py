"""`evaluate.load` takes this folder; the plain function is `hf_ntg.metrics.distance.flow_size_distance`."""

from hf_ntg.metrics.distance import FLOW_SIZE_DISTANCE
from hf_ntg.metrics.flow_metric import FlowMetric


class FlowSizeDistance(FlowMetric):
    """See `hf_ntg.metrics.distance.flow_size_distance`."""

    metric = FLOW_SIZE_DISTANCE
