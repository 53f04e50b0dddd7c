"""`evaluate.load` takes this folder; the plain function is `hf_ntg.metrics.protocol.validity`."""

from hf_ntg.metrics.flow_metric import FlowMetric
from hf_ntg.metrics.protocol import VALIDITY


class Validity(FlowMetric):
    """See `hf_ntg.metrics.protocol.validity`."""

    metric = VALIDITY
