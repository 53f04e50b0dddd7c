from .flow_grammar import FlowGrammar
from .processing_flow_signal import FlowSignalProcessor
from .tokenization_flow import EncodedFlows, FlowTokenizer

__all__ = [
    "EncodedFlows",
    "FlowGrammar",
    "FlowSignalProcessor",
    "FlowTokenizer",
]
