"""The questions asked of a generator, and the reports that answer them."""

from hf_ntg.study.report import headline, write_report

__all__ = ["headline", "write_report"]
