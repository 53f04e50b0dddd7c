"""`evaluate.load` takes this folder; the plain function is `hf_ntg.metrics.whole.mmd`."""

from hf_ntg.metrics.flow_metric import FlowMetric
from hf_ntg.metrics.whole import MMD


class Mmd(FlowMetric):
    """See `hf_ntg.metrics.whole.mmd`."""

    metric = MMD
