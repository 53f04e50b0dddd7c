"""The models: causal language models, Mamba's scan, the diffusion pipeline, and the baselines."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
