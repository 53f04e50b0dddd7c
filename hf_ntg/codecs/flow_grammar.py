"""The grammar of a flow sentence: which tokens there are, in which order of ids, and which may follow.

A sentence is ``<label> [protocol port] packet packet … <eos>`` or, with times,
``<label> [protocol port] packet … <times> ~t2 ~t3 … ~tn <eos>``. All packets come before all times: flows that agree in
their packets then share every token up to ``<times>``, which is what makes drawing many of them cheap, and leaving the
times out does not change the model of the packets.

The ids of one kind of token lie side by side, and the token that ends the packets lies right before them, so that the
tokens allowed at any place of a sentence are one slice of the vocabulary.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from functools import cached_property
from urllib.parse import quote, unquote

import numpy as np

from hf_ntg.codecs.time_bins import TimeBins
from hf_ntg.flows.schema import MAX_PAYLOAD, TCP, UDP

__all__ = ["EOS", "PAD", "FlowGrammar", "label_token", "token_label"]

PAD, EOS, TIMES = "<pad>", "<eos>", "<times>"
OTHER_PORT = "port:other"
_PROTOCOL_NAMES = {TCP: "tcp", UDP: "udp", -1: "proto:none"}
_RESERVED = {"pad", "eos", "times"}


def label_token(label: str | None) -> str:
    """The token of a class: its name in angle brackets, percent-encoded where it would not be one word; one to one."""
    if label is None:
        return "<?>"
    quoted = quote(label, safe="!#$&'()*+,-./:;=@[]^_`{|}~")
    if quoted in _RESERVED:
        quoted = f"%{ord(quoted[0]):02X}{quoted[1:]}"
    return f"<{quoted}>"


def token_label(token: str) -> str | None:
    """The inverse of :func:`label_token`."""
    return None if token == "<?>" else unquote(token[1:-1])


@dataclass(frozen=True)
class FlowGrammar:
    """What a sentence can say; fixed when the tokenizer is fitted, saved beside the weights as ``flow_grammar.json``.

    Attributes:
        labels: classes, in order of their ids. label_counts: training flows of each, the default mix of new flows.
        max_packets: packets of a flow that a sentence holds; longer flows are cut.
        max_payload: every payload length from 0 to this has a token in both directions.
        extra_lengths: longer lengths that the training flows hold (offloaded super-frames), ascending.
        protocols, ports: header facts with a token of their own (-1: unknown); empty without header tokens. Ports
            beside these are ``port:other``.
        time_knots: of the bins of inter-arrival times, see :class:`hf_ntg.codecs.time_bins.TimeBins`; empty without
            timing tokens.
    """

    labels: tuple[str | None, ...]
    label_counts: tuple[int, ...]
    max_packets: int
    max_payload: int
    extra_lengths: tuple[int, ...] = ()
    protocols: tuple[int, ...] = ()
    ports: tuple[int, ...] = ()
    time_knots: tuple[float, ...] = ()

    @classmethod
    def from_dict(cls, found: dict) -> FlowGrammar:
        """The inverse of :meth:`to_dict`; a ValueError where the fields are not those of a grammar."""
        if odd := found.keys() ^ {field.name for field in fields(cls)}:
            raise ValueError(f"flow_grammar.json is of another version of hf_ntg: {', '.join(sorted(odd))}")
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in found.items()})

    def to_dict(self) -> dict:
        """The fields as JSON can hold them."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @property
    def has_header(self) -> bool:
        return bool(self.protocols)

    @property
    def has_times(self) -> bool:
        return bool(self.time_knots)

    @property
    def prefix_length(self) -> int:
        """Tokens before the first packet."""
        return 3 if self.has_header else 1

    @property
    def max_tokens(self) -> int:
        """Tokens of the longest sentence."""
        times = self.max_packets if self.has_times else 0  # <times> and max_packets - 1 bins
        return self.prefix_length + self.max_packets + times + 1

    @cached_property
    def time_bins(self) -> TimeBins:
        """The bins of inter-arrival times, a token each."""
        return TimeBins(self.time_knots)

    @cached_property
    def lengths(self) -> np.ndarray:
        """(L,) payload lengths with a token, ascending."""
        return np.concatenate([np.arange(self.max_payload + 1), np.array(self.extra_lengths, dtype=np.int64)])

    @cached_property
    def blocks(self) -> dict[str, slice]:
        """Kind of token to its slice of ids: pad, label, protocol, port, time, eos, (times,) packet."""
        sizes = {
            "pad": 1,
            "label": len(self.labels),
            "protocol": len(self.protocols),
            "port": len(self.ports) + 1 if self.has_header else 0,
            "time": len(self.time_bins),
            "eos": 1,
            "times": int(self.has_times),
            "packet": 2 * len(self.lengths),
        }
        stops = np.cumsum(list(sizes.values())).tolist()
        return {name: slice(stop - size, stop) for (name, size), stop in zip(sizes.items(), stops, strict=True)}

    @property
    def end_of_packets(self) -> int:
        """Id of the token that ends the packets: ``<times>`` with times, ``<eos>`` without."""
        return self.blocks["packet"].start - 1

    @property
    def eos(self) -> int:
        return self.blocks["eos"].start

    def allowed_packets(self, packets_so_far: int) -> slice:
        """Ids that may follow `packets_so_far` packets: a packet, the end (not of an empty flow), or the end alone."""
        packets = self.blocks["packet"]
        if packets_so_far == 0:
            return packets
        if packets_so_far == self.max_packets:
            return slice(self.end_of_packets, self.end_of_packets + 1)
        return slice(self.end_of_packets, packets.stop)

    def words(self) -> list[str]:
        """The vocabulary in order of ids."""
        protocols = [_PROTOCOL_NAMES.get(number, f"proto:{number}") for number in self.protocols]
        ports = [f"port:{'none' if number < 0 else number}" for number in self.ports]
        return [
            PAD,
            *map(label_token, self.labels),
            *protocols,
            *([*ports, OTHER_PORT] if self.has_header else []),
            *(f"~{place}" for place in range(len(self.time_bins))),
            EOS,
            *([TIMES] if self.has_times else []),
            *(f"+{length}" for length in self.lengths),
            *(f"-{length}" for length in self.lengths),
        ]

    @cached_property
    def packet_ids(self) -> np.ndarray:
        """(2 * 65,536,) token id of every packet symbol (``2 * length + downstream``).

        A length above `max_payload` that has no token takes the nearest that has one.
        """
        every = np.arange(MAX_PAYLOAD + 1)
        right = np.searchsorted(self.lengths, every).clip(max=len(self.lengths) - 1)
        left = (right - 1).clip(min=0)
        nearest = np.where(every - self.lengths[left] < self.lengths[right] - every, left, right)
        nearest = np.where(self.lengths[right] == every, right, nearest)
        first = self.blocks["packet"].start
        return np.stack([first + nearest, first + len(self.lengths) + nearest], axis=1).reshape(-1)
