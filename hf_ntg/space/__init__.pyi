from .page import build_page, launch

__all__ = [
    "build_page",
    "launch",
]
