from .evaluation import headline, headline_table, write_report
from .flow_plots import plot_flows

__all__ = [
    "headline",
    "headline_table",
    "plot_flows",
    "write_report",
]
