"""Training: one loop on Accelerate for all models, and one objective per model family."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
