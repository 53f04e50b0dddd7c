"""`evaluate.load` takes this folder; the plain function is `hf_ntg.metrics.neighbours.coverage`."""

from hf_ntg.metrics.flow_metric import FlowMetric
from hf_ntg.metrics.neighbours import COVERAGE


class Coverage(FlowMetric):
    """See `hf_ntg.metrics.neighbours.coverage`."""

    metric = COVERAGE
