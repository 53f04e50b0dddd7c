from .evaluation import headline, write_report
from .flow_plots import plot_flows

__all__ = [
    "headline",
    "plot_flows",
    "write_report",
]
