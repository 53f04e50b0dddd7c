"""How good a set of flows is: each metric a plain function and an `evaluate` module, and all of them at once.

A metric's folder goes to `evaluate.load`; its function lives in the module that the folder names. No torch.
"""

from hf_ntg.metrics.fidelity import METRICS, evaluate_flows

__all__ = ["METRICS", "evaluate_flows"]
