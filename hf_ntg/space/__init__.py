"""The demo page: generate flows with a model, look at them, and download them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
