"""Flows to model input and back, exactly."""

from importlib import import_module

_HOMES = {
    "EncodedFlows": "hf_ntg.codecs.tokenization_flow",
    "FlowGrammar": "hf_ntg.codecs.flow_grammar",
    "FlowSignalProcessor": "hf_ntg.codecs.processing_flow_signal",
    "FlowTokenizer": "hf_ntg.codecs.tokenization_flow",
}

__all__ = list(_HOMES)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'hf_ntg.codecs' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
