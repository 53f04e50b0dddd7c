"""On the Hub: models, synthetic data sets and metrics published with cards made from results; recipes of models."""

from hf_ntg.lazy import attributes

_HOMES = {
    "Destination": "hf_ntg.hub.upload",
    "Published": "hf_ntg.hub.upload",
    "TrainingData": "hf_ntg.hub.training_data",
    "lay_out_dataset": "hf_ntg.hub.dataset_repository",
    "lay_out_metric": "hf_ntg.hub.metric_repository",
    "lay_out_model": "hf_ntg.hub.model_repository",
    "publish_dataset": "hf_ntg.hub.dataset_repository",
    "publish_metric": "hf_ntg.hub.metric_repository",
    "publish_model": "hf_ntg.hub.model_repository",
    "refuse_private": "hf_ntg.hub.scan",
    "write_model_card": "hf_ntg.hub.model_card",
}

__all__ = list(_HOMES)
__getattr__ = attributes(__name__, _HOMES)
