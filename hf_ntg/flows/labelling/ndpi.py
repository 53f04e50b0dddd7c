"""Labels by nDPI, the application detector, through nfstream."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hf_ntg.errors import InputError
from hf_ntg.flows.labelling.label_table import Endpoints, endpoints_of
from hf_ntg.flows.reading import FlowBatch, packed_address

__all__ = ["import_nfstream", "ndpi_labels"]


def ndpi_labels(path: Path, idle_timeout: float) -> tuple[Callable[[FlowBatch, int], str | None], bool]:
    """Run nDPI over a capture, through nfstream.

    Return a function from a flow to its application, and whether nDPI could read the capture. It cannot read damaged or
    compressed captures.

    Raises:
        InputError: nfstream is not installed.
    """
    streamer = import_nfstream()(
        source=str(path),
        idle_timeout=max(1, round(idle_timeout)),
        active_timeout=10**6,
        n_meters=1,
        statistical_analysis=False,
    )
    known: dict[Endpoints, list[tuple[float, str]]] = {}
    is_readable = True
    try:
        for flow in streamer:
            source, destination = (packed_address(one) for one in (flow.src_ip, flow.dst_ip))
            ends = frozenset(((source, flow.src_port), (destination, flow.dst_port)))
            found = flow.bidirectional_first_seen_ms / 1000, flow.application_name
            known.setdefault((flow.protocol, ends), []).append(found)
    except ValueError:  # nfstream's exception for errors of libpcap
        is_readable = False

    def of_flow(batch: FlowBatch, row: int) -> str | None:
        ends = endpoints_of(batch, row)
        found = known.get(ends) if ends is not None else None
        if not found or batch.start is None:
            return None
        start = float(batch.start[row]) + 0.001  # nfstream keeps whole milliseconds
        begun = [one for one in found if one[0] <= start]
        return max(begun)[1] if begun else min(found)[1]

    return of_flow, is_readable


def import_nfstream():
    try:
        from nfstream import NFStreamer
    except ImportError as error:
        raise InputError("labels by nDPI need nfstream: pip install nfstream") from error
    return NFStreamer
