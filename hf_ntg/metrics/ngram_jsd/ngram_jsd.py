"""`evaluate.load` takes this folder; the plain function is `hf_ntg.metrics.divergence.ngram_jsd`."""

from hf_ntg.metrics.divergence import NGRAM_JSD
from hf_ntg.metrics.flow_metric import FlowMetric


class NgramJsd(FlowMetric):
    """See `hf_ntg.metrics.divergence.ngram_jsd`."""

    metric = NGRAM_JSD
