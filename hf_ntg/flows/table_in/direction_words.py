"""Reads the words for the two directions of packets: ``up`` and ``down``, ``C->S`` and ``S->C``, and many more."""

from __future__ import annotations

import re
from collections.abc import Collection

__all__ = ["passes_by", "signs_of"]

_UP = frozenset(
    {
        "out", "outgoing", "outbound", "up", "upstream", "upload", "uplink", "ul", "tx", "sent", "send", "snd", "fwd",
        "forward", "client", "->", ">", "+", "egress", "request", "req", "orig", "originator", "initiator", "source",
        "src",
    }
)  # fmt: skip
_DOWN = frozenset(
    {
        "in", "incoming", "inbound", "down", "downstream", "download", "downlink", "dl", "rx", "received", "recv",
        "rcv", "rcvd", "receive", "bwd", "bckwd", "backward", "rev", "reverse", "server", "<-", "<", "-", "ingress",
        "response", "resp", "responder", "reply", "destination", "dst",
    }
)  # fmt: skip
_PAIRS = (("f", "b"), ("c", "s"), ("s", "d"), ("s", "r"), ("u", "d"), ("o", "i"), ("t", "r"), ("cs", "sc"))
"""Letters that say something together only: from the initiator, to it."""
_VANTAGE = frozenset(
    {
        "out", "outgoing", "outbound", "tx", "sent", "send", "snd", "egress", "in", "incoming", "inbound", "rx",
        "received", "recv", "rcv", "rcvd", "receive", "ingress", "o", "i", "t", "r",
    }
)  # fmt: skip
"""Words that say how packets pass the capture point, which may be on either side."""
_INITIATORS = frozenset({"client", "src", "source", "orig", "originator", "initiator", "local", "c", "a", "l"})
_OTHERS = frozenset({"server", "dst", "dest", "destination", "resp", "responder", "remote", "d", "b", "r"})
_ARROWS = {
    "→": "->",
    "⇒": "->",
    "⟶": "->",
    "=>": "->",
    "-->": "->",
    "←": "<-",
    "⇐": "<-",
    "⟵": "<-",
    "<=": "<-",
    "<--": "<-",
}
_END = "|".join(sorted(_INITIATORS | _OTHERS | {"s"}, key=len, reverse=True))
_FROM_TO = re.compile(rf"(?:from)?[\W_]*({_END})?[\W_]*?(->|>|<-|<|2|to|towards)[\W_]*({_END})")
_FROM = re.compile(rf"from[\W_]*({_END})")


def signs_of(words: Collection[str]) -> dict[str, int]:
    """Return the words that are known, with +1 for packets from the flow's initiator and -1 for packets to it.

    Args:
        words: all words of a table, in lower case. What a single letter means depends on the others.
    """
    letters = {letter for pair in _PAIRS for letter in pair}
    fitting = [pair for pair in _PAIRS if set(words) & letters <= set(pair)]
    known: dict[str, int] = {}
    if len({pair for pair in fitting if set(words) & set(pair)}) == 1:
        known = {word: 1 - 2 * place for pair in fitting for place, word in enumerate(pair) if word in words}
    for word in words:
        sign = known.get(word) or _sign(word)
        if sign:
            known[word] = sign
    return known


def passes_by(words: Collection[str]) -> bool:
    """Return whether some of the `words` are relative to the capture point."""
    return any(word in _VANTAGE or re.search("local|remote|^l2r$|^r2l$", word) for word in words)


def _sign(word: str) -> int:
    """Return +1 or -1 for a word that says it by itself, else 0."""
    for arrow, plain in _ARROWS.items():
        word = word.replace(arrow, plain) if len(word) > len(arrow) or word == arrow else word
    if word in _UP or word in _DOWN:
        return 1 if word in _UP else -1
    match = _FROM_TO.fullmatch(word)
    if match:
        begin, arrow, end = match[1], match[2], match[3]
        begin, end = (end, begin) if arrow.startswith("<") else (begin, end)
        return -_side(end, begin) or _side(begin, end)
    match = _FROM.fullmatch(word)
    return _side(match[1], None) if match else 0


def _side(end: str | None, other: str | None) -> int:
    """Return +1 for the initiator's end and -1 for the other one. ``s`` is a source, or the server of a client."""
    if end == "s":
        return 1 if other in ("d", "dst", "r") else -1
    return 1 if end in _INITIATORS else -1 if end in _OTHERS else 0
