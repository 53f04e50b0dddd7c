"""`evaluate.load` takes this folder; the plain function is `hf_ntg.metrics.utility.tstr`."""

from hf_ntg.metrics.flow_metric import FlowMetric
from hf_ntg.metrics.utility import TSTR


class Tstr(FlowMetric):
    """See `hf_ntg.metrics.utility.tstr`."""

    metric = TSTR
