"""What learns: causal language models, Mamba's scan, the diffusion pipeline, and the baselines they must beat."""

from hf_ntg.lazy import attributes

_HOMES = {
    "CAUSAL_FAMILIES": "hf_ntg.models.causal_lm",
    "FlowDiffusionPipeline": "hf_ntg.models.pipeline_flow_diffusion",
    "build_causal_lm": "hf_ntg.models.causal_lm",
    "load_causal_lm": "hf_ntg.models.causal_lm",
    "make_baseline": "hf_ntg.models.baselines",
}

__all__ = list(_HOMES)
__getattr__ = attributes(__name__, _HOMES)
