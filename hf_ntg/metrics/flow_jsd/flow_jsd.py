"""`evaluate.load` takes this folder; the plain function is `hf_ntg.metrics.divergence.flow_jsd`."""

from hf_ntg.metrics.divergence import FLOW_JSD
from hf_ntg.metrics.flow_metric import FlowMetric


class FlowJsd(FlowMetric):
    """See `hf_ntg.metrics.divergence.flow_jsd`."""

    metric = FLOW_JSD
