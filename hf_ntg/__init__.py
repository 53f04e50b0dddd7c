"""hf_ntg: small generators of labelled network flows for the Hugging Face ecosystem.

The public names are imported when they are first used, so that ``import hf_ntg`` and reading flows stay free of torch.
"""

import lazy_loader

from hf_ntg.threads import limit_spinning

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

limit_spinning()
