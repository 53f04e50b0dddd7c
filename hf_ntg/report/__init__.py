"""The evaluation report and its figures: what the commands, studies, cards and the page show."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
