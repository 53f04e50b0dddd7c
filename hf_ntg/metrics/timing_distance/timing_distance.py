"""`evaluate.load` takes this folder; the plain function is `hf_ntg.metrics.distance.timing_distance`."""

from hf_ntg.metrics.distance import TIMING_DISTANCE
from hf_ntg.metrics.flow_metric import FlowMetric


class TimingDistance(FlowMetric):
    """See `hf_ntg.metrics.distance.timing_distance`."""

    metric = TIMING_DISTANCE
