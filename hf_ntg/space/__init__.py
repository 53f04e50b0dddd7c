"""The page: draw flows with a model, look at them, take them along."""

from hf_ntg.lazy import attributes

_HOMES = {"build_page": "hf_ntg.space.page", "launch": "hf_ntg.space.page"}

__all__ = list(_HOMES)
__getattr__ = attributes(__name__, _HOMES)
