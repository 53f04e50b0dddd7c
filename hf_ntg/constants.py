"""Numbers and names that every layer shares, in a module that imports nothing heavy."""

__all__ = [
    "BUNDLED",
    "DEFAULT_PER_CLASS",
    "DEFAULT_VIEW",
    "MAX_DATAGRAM",
    "MAX_SEGMENT",
    "PACKET_VIEWS",
    "PREDICTION_TYPES",
    "PRIVACY_UNITS",
    "PRIVATE_COUNTS",
    "RUN_FILE",
    "TCP",
    "UDP",
]

BUNDLED = "loopback"  # name of the flows that the package brings, and of the model that learned them
TCP, UDP = 6, 17  # IP protocol numbers
MAX_SEGMENT, MAX_DATAGRAM = 1_460, 1_472  # payload of a frame of 1,500 bytes, less 40 for IPv4 and TCP, 28 for UDP
PACKET_VIEWS = ("payload", "all")  # see hf_ntg.flows.view
DEFAULT_VIEW = "payload"
DEFAULT_PER_CLASS = 600  # flows to which few ones are topped up, see hf_ntg.augment
PRIVACY_UNITS = ("flow", "capture")
PRIVATE_COUNTS = "private-n-gram"  # the name of a baseline, see hf_ntg.models.baselines.private_ngram
RUN_FILE = "training_run.json"  # beside a model, the record of its training
PREDICTION_TYPES = ("epsilon", "v_prediction", "sample", "flow")  # see hf_ntg.models.flow_denoiser.noise_target
