"""hf_ntg: small generators of labelled network flows for the Hugging Face ecosystem.

The names below are imported when they are first used, so that ``import hf_ntg`` and reading flows stay free of torch.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOMES = {
    "load_flows": "hf_ntg.flows",
    "split_flows": "hf_ntg.flows",
    "write_pcap": "hf_ntg.flows",
    "FlowTokenizer": "hf_ntg.codecs",
    "FlowSignalProcessor": "hf_ntg.codecs",
    "FlowDiffusionPipeline": "hf_ntg.models",
    "FlowGenerator": "hf_ntg.generation",
    "TrainingConfig": "hf_ntg.training",
    "train": "hf_ntg.training",
    "evaluate_flows": "hf_ntg.metrics",
    "InputError": "hf_ntg.errors",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'hf_ntg' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
