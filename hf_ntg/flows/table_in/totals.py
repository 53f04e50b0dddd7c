"""Recognises tables that hold totals of flows, such as NetFlow records, which have no packets to import."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["REMEDY", "totals_of"]

REMEDY = "holds flow totals, not packets; import the capture that it was made from instead"

_TOOLS: tuple[tuple[str, set[str]], ...] = (
    ("CICFlowMeter", {"flowduration", "totfwdpkts"}),
    ("CICFlowMeter", {"flowduration", "totalfwdpackets"}),
    ("CICFlowMeter", {"flowduration", "totalfwdpacket"}),
    ("Zeek conn.log", {"uid", "idorigh"}),
    ("Zeek conn.log", {"origbytes", "respbytes"}),
    ("Zeek conn.log", {"idorigh", "idresph"}),
    ("nfdump", {"ts", "te", "td", "sa"}),
    ("nfdump", {"ibyt", "ipkt"}),
    ("nfdump", {"firstseen", "duration", "proto", "packets"}),
    ("NetFlow", {"inbytes", "inpkts"}),
    ("NetFlow", {"dpkts", "doctets"}),
    ("NetFlow", {"srcaddr", "dstaddr", "packets", "bytes"}),
    ("IPFIX", {"octetdeltacount", "packetdeltacount"}),
    ("IPFIX", {"octettotalcount", "packettotalcount"}),
    ("Argus", {"saddr", "daddr", "dur", "totpkts"}),
    ("Argus", {"srcaddr", "dstaddr", "dur", "totpkts"}),
    ("Argus", {"stime", "ltime", "sbytes"}),
    ("Argus", {"dur", "spkts", "dpkts"}),
    ("Argus", {"srcpkts", "dstpkts"}),
    ("Suricata", {"eventtype", "flow", "srcip", "destip"}),
    ("Tstat", {"cip", "cport", "cpktsall"}),
    ("Tstat", {"cip", "sip", "cbytesall"}),
    ("YAF", {"pkt", "oct", "rpkt", "roct"}),
    ("nfstream without splt_analysis", {"bidirectionalpackets", "bidirectionalbytes"}),
)
_TOTAL = re.compile(
    r"(tot|total|num|n|src|dst|in|out|fwd|bwd|forward|backward|orig|resp|flow|[sd])?"
    r"(bytes|byts|pkts|packets|octets|duration|dur)(count|total|s)?(fwd|bwd|src|dst|in|out|tos|toc)?"
)


def totals_of(names: Iterable[str]) -> str | None:
    """The tool that writes flow totals under the column `names`, or "flow records"; None if they are not totals."""
    plain = {re.sub(r"#\d*#?|:\d+$|[^a-z0-9]", "", name.lower()) for name in names}
    for tool, signature in _TOOLS:
        if signature <= plain:
            return tool
    return "flow records" if sum(bool(_TOTAL.fullmatch(name)) for name in plain) >= 2 else None
