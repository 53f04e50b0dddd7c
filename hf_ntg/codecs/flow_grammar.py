"""The grammar of a flow sentence: its tokens, their ids, and which tokens may follow which.

A sentence is ``<label> [protocol port] packet packet … <eos>`` or, with times,
``<label> [protocol port] packet … <times> ~t2 ~t3 … ~tn <eos>``. All packets come before all times. Flows with the same
packets then share every token up to ``<times>``, which makes it cheap to draw many of them. A model without times
models the packets in the same way.

The ids of one kind of token are consecutive, and the token that ends the packets comes right before the packets. The
tokens that are allowed at any place of a sentence are therefore one slice of the vocabulary.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any
from urllib.parse import quote, unquote

import numpy as np

from hf_ntg.codecs.flow_headers import OTHER
from hf_ntg.codecs.time_bins import TimeBins
from hf_ntg.flows.schema import MAX_PAYLOAD, TCP, UDP

__all__ = ["EOS", "PAD", "FlowGrammar", "label_token", "token_label"]

PAD, EOS, TIMES = "<pad>", "<eos>", "<times>"
OTHER_PORT = "port:other"
_PROTOCOL_NAMES = {TCP: "tcp", UDP: "udp", -1: "proto:none", OTHER: "proto:other"}
_RESERVED = {"pad", "eos", "times"}


def label_token(label: str | None) -> str:
    """The token of a class: its name in angle brackets, percent-encoded where it would not be one word.

    Different names have different tokens.
    """
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
    """The vocabulary and the limits of the sentences of one tokenizer.

    It is fixed when the tokenizer is fitted, and saved next to the weights as ``flow_grammar.json``.

    Attributes:
        labels: classes, in order of their ids. label_counts: training flows of each, the default mix of new flows.
        max_packets: largest number of packets of a sentence; longer flows are cut.
        max_payload: every payload length up to this, in bytes, has a token in both directions.
        extra_lengths: longer lengths that the training flows hold (offloaded super-frames), ascending.
        protocols, ports: numbers with a token of their own, ascending (-1: the table does not know it); empty without
            header tokens. Every other port is written as ``port:other``. Every other protocol is written as
            ``proto:other``, if `protocols` holds ``OTHER``; the sampler never draws that token.
        time_knots: knots of the bins of inter-arrival times, see :class:`hf_ntg.codecs.time_bins.TimeBins`; empty
            without timing tokens.
        view: packet view of the flows, see :func:`hf_ntg.flows.view.in_view`. In ``payload`` no empty packet has a
            token. A saved grammar without this field means ``all``.
    """

    labels: tuple[str | None, ...]
    label_counts: tuple[int, ...]
    max_packets: int
    max_payload: int
    extra_lengths: tuple[int, ...] = ()
    protocols: tuple[int, ...] = ()
    ports: tuple[int, ...] = ()
    time_knots: tuple[float, ...] = ()
    view: str = "all"

    @classmethod
    def from_dict(cls, found: dict) -> FlowGrammar:
        """The inverse of :meth:`to_dict`; raises a ValueError where the fields are not those of a grammar."""
        if odd := ({"view": "all"} | found).keys() ^ {field.name for field in fields(cls)}:
            raise ValueError(f"flow_grammar.json is of another version of hf_ntg: {', '.join(sorted(odd))}")
        values: dict[str, Any] = {k: tuple(value) if isinstance(value, list) else value for k, value in found.items()}
        return cls(**values)

    def to_dict(self) -> dict:
        """The fields as plain JSON values."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @property
    def has_header(self) -> bool:
        """Whether sentences hold protocol and port."""
        return bool(self.protocols)

    @property
    def has_times(self) -> bool:
        """Whether sentences hold times."""
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
        """The bins of inter-arrival times; each is a token."""
        return TimeBins(self.time_knots)

    @cached_property
    def lengths(self) -> np.ndarray:
        """(L,) payload lengths with a token, ascending."""
        shortest = 1 if self.view == "payload" else 0
        return np.concatenate([np.arange(shortest, self.max_payload + 1), np.array(self.extra_lengths, dtype=np.int64)])

    @cached_property
    def blocks(self) -> dict[str, slice]:
        """Slice of ids of each kind of token: pad, label, protocol, port, time, eos, (times,) packet."""
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
        """Id of ``<eos>``."""
        return self.blocks["eos"].start

    @property
    def known_protocols(self) -> slice:
        """Ids of the protocols that training flows have, which is all but ``proto:other``."""
        block = self.blocks["protocol"]
        return slice(block.start + (OTHER in self.protocols), block.stop)

    def allowed_packets(self, packets_so_far: int) -> slice:
        """Ids that may follow `packets_so_far` packets.

        The first is a packet. Then a packet or the end of the packets follows; after `max_packets`, only the end.
        """
        packets = self.blocks["packet"]
        if packets_so_far == 0:
            return packets
        if packets_so_far == self.max_packets:
            return slice(self.end_of_packets, self.end_of_packets + 1)
        return slice(self.end_of_packets, packets.stop)

    def words(self) -> list[str]:
        """The vocabulary, in order of ids."""
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
        """(2 * 65,536,) token id of every packet symbol (``2 * length + (direction < 0)``).

        A length without a token takes the token of the nearest length.
        """
        every = np.arange(MAX_PAYLOAD + 1)
        right = np.searchsorted(self.lengths, every).clip(max=len(self.lengths) - 1)
        left = (right - 1).clip(min=0)
        nearest = np.where(every - self.lengths[left] < self.lengths[right] - every, left, right)
        nearest = np.where(self.lengths[right] == every, right, nearest)
        first = self.blocks["packet"].start
        return np.stack([first + nearest, first + len(self.lengths) + nearest], axis=1).reshape(-1)
