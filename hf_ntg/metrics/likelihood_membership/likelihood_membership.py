"""`evaluate.load` takes this folder; the plain function is `hf_ntg.metrics.membership.likelihood_membership`.

The flows that the model was trained on go in the place of `synthetic` (`predictions`), unseen real ones in that of
`real` (`references`), and `log_likelihood` is an option.
"""

from hf_ntg.metrics.flow_metric import FlowMetric
from hf_ntg.metrics.membership import LIKELIHOOD_MEMBERSHIP


class LikelihoodMembership(FlowMetric):
    """See `hf_ntg.metrics.membership.likelihood_membership`."""

    metric = LIKELIHOOD_MEMBERSHIP
