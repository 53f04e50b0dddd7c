"""Publish models, synthetic data sets and metrics on the Hub, with cards made from results."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
