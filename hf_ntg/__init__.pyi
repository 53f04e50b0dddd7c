from .augmentation import FewFlowsClassifier, augment
from .codecs import FlowSignalProcessor, FlowTokenizer
from .errors import InputError
from .flows import load_flows, split_flows, write_pcap
from .hub.generator import FlowGenerator
from .metrics import evaluate_flows
from .models import FlowDiffusionPipeline
from .progress import disable_progress_bars, enable_progress_bars
from .report import plot_flows
from .train import train
from .training import TrainingConfig

__version__: str

__all__ = [
    "FewFlowsClassifier",
    "FlowDiffusionPipeline",
    "FlowGenerator",
    "FlowSignalProcessor",
    "FlowTokenizer",
    "InputError",
    "TrainingConfig",
    "augment",
    "disable_progress_bars",
    "enable_progress_bars",
    "evaluate_flows",
    "load_flows",
    "plot_flows",
    "split_flows",
    "train",
    "write_pcap",
]
