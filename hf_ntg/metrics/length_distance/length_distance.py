"""`evaluate.load` takes this folder; the plain function is `hf_ntg.metrics.distance.length_distance`."""

from hf_ntg.metrics.distance import LENGTH_DISTANCE
from hf_ntg.metrics.flow_metric import FlowMetric


class LengthDistance(FlowMetric):
    """See `hf_ntg.metrics.distance.length_distance`."""

    metric = LENGTH_DISTANCE
