"""Flows to model input and back, exactly."""

from hf_ntg.lazy import attributes

_HOMES = {
    "EncodedFlows": "hf_ntg.codecs.tokenization_flow",
    "FlowGrammar": "hf_ntg.codecs.flow_grammar",
    "FlowSignalProcessor": "hf_ntg.codecs.processing_flow_signal",
    "FlowTokenizer": "hf_ntg.codecs.tokenization_flow",
}

__all__ = list(_HOMES)
__getattr__ = attributes(__name__, _HOMES)
