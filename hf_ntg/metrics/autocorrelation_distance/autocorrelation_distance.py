"""`evaluate.load` takes this folder; the plain function is `hf_ntg.metrics.order.autocorrelation_distance`."""

from hf_ntg.metrics.flow_metric import FlowMetric
from hf_ntg.metrics.order import AUTOCORRELATION_DISTANCE


class AutocorrelationDistance(FlowMetric):
    """See `hf_ntg.metrics.order.autocorrelation_distance`."""

    metric = AUTOCORRELATION_DISTANCE
