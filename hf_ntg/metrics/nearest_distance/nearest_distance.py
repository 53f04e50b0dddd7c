"""`evaluate.load` takes this folder; the plain function is `hf_ntg.metrics.neighbours.nearest_distance`."""

from hf_ntg.metrics.flow_metric import FlowMetric
from hf_ntg.metrics.neighbours import NEAREST_DISTANCE


class NearestDistance(FlowMetric):
    """See `hf_ntg.metrics.neighbours.nearest_distance`."""

    metric = NEAREST_DISTANCE
