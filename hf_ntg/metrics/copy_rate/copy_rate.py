"""`evaluate.load` takes this folder; the plain function is `hf_ntg.metrics.novelty.copy_rate`."""

from hf_ntg.metrics.flow_metric import FlowMetric
from hf_ntg.metrics.novelty import COPY_RATE


class CopyRate(FlowMetric):
    """See `hf_ntg.metrics.novelty.copy_rate`."""

    metric = COPY_RATE
