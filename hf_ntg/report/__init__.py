"""The evaluation report and its plots, shared by commands, studies, model cards and the demo page."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
