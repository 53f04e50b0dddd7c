from .baselines import make_baseline
from .causal_lm import CAUSAL_FAMILIES, build_causal_lm, load_causal_lm
from .pipeline_flow_diffusion import FlowDiffusionPipeline

__all__ = [
    "CAUSAL_FAMILIES",
    "FlowDiffusionPipeline",
    "build_causal_lm",
    "load_causal_lm",
    "make_baseline",
]
