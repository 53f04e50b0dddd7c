"""`evaluate.load` takes this folder; the plain function is `hf_ntg.metrics.fidelity.flow_fidelity`."""

from hf_ntg.metrics.fidelity import FLOW_FIDELITY
from hf_ntg.metrics.flow_metric import FlowMetric


class FlowFidelity(FlowMetric):
    """See `hf_ntg.metrics.fidelity.flow_fidelity`."""

    metric = FLOW_FIDELITY
