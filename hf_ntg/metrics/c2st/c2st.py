"""`evaluate.load` takes this folder; the plain function is `hf_ntg.metrics.whole.c2st`."""

from hf_ntg.metrics.flow_metric import FlowMetric
from hf_ntg.metrics.whole import C2ST


class C2st(FlowMetric):
    """See `hf_ntg.metrics.whole.c2st`."""

    metric = C2ST
