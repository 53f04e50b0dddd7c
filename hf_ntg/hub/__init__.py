"""On the Hub: models, synthetic data sets and metrics published with cards made from results; recipes of models."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
