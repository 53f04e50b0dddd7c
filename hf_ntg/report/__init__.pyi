from .evaluation import headline, write_report

__all__ = [
    "headline",
    "write_report",
]
