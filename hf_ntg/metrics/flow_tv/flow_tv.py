"""`evaluate.load` takes this folder; the plain function is `hf_ntg.metrics.divergence.flow_tv`."""

from hf_ntg.metrics.divergence import FLOW_TV
from hf_ntg.metrics.flow_metric import FlowMetric


class FlowTv(FlowMetric):
    """See `hf_ntg.metrics.divergence.flow_tv`."""

    metric = FLOW_TV
