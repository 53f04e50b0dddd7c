from .dataset_repository import lay_out_dataset, publish_dataset
from .metric_repository import lay_out_metric, publish_metric
from .model_card import write_model_card
from .model_repository import lay_out_model, publish_model
from .scan import refuse_private
from .training_data import TrainingData
from .upload import Destination, Published

__all__ = [
    "Destination",
    "Published",
    "TrainingData",
    "lay_out_dataset",
    "lay_out_metric",
    "lay_out_model",
    "publish_dataset",
    "publish_metric",
    "publish_model",
    "refuse_private",
    "write_model_card",
]
