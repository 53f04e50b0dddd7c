"""The evaluation report and its figures: what the commands, studies, cards and the page show."""

from hf_ntg.lazy import attributes

_HOMES = {
    "headline": "hf_ntg.report.evaluation",
    "write_report": "hf_ntg.report.evaluation",
}

__all__ = list(_HOMES)
__getattr__ = attributes(__name__, _HOMES)
