"""What learns: causal language models, Mamba's scan, the diffusion pipeline, and the baselines they must beat."""

from importlib import import_module

_HOMES = {
    "CAUSAL_FAMILIES": "hf_ntg.models.causal_lm",
    "FlowDiffusionPipeline": "hf_ntg.models.pipeline_flow_diffusion",
    "build_causal_lm": "hf_ntg.models.causal_lm",
    "load_causal_lm": "hf_ntg.models.causal_lm",
    "make_baseline": "hf_ntg.models.baselines",
}

__all__ = list(_HOMES)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'hf_ntg.models' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
