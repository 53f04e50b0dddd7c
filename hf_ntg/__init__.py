"""hf_ntg: small generators of labelled network flows for the Hugging Face ecosystem.

The names below are imported when they are first used, so that ``import hf_ntg`` and reading flows stay free of torch.
"""

from hf_ntg.lazy import attributes

__version__ = "0.1.0"

_HOMES = {
    "load_flows": "hf_ntg.flows",
    "split_flows": "hf_ntg.flows",
    "write_pcap": "hf_ntg.flows",
    "FlowTokenizer": "hf_ntg.codecs",
    "FlowSignalProcessor": "hf_ntg.codecs",
    "FlowDiffusionPipeline": "hf_ntg.models",
    "FlowGenerator": "hf_ntg.hub.generator",
    "augment": "hf_ntg.generation",
    "TrainingConfig": "hf_ntg.training",
    "train": "hf_ntg.training",
    "evaluate_flows": "hf_ntg.metrics",
    "InputError": "hf_ntg.errors",
}

__all__ = ["__version__", *_HOMES]
__getattr__ = attributes(__name__, _HOMES)
