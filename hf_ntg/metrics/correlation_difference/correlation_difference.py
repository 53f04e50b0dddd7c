"""`evaluate.load` takes this folder; the plain function is `hf_ntg.metrics.whole.correlation_difference`."""

from hf_ntg.metrics.flow_metric import FlowMetric
from hf_ntg.metrics.whole import CORRELATION_DIFFERENCE


class CorrelationDifference(FlowMetric):
    """See `hf_ntg.metrics.whole.correlation_difference`."""

    metric = CORRELATION_DIFFERENCE
