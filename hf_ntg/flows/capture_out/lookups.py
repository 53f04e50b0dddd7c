"""Makes the DNS look-ups that precede flows: a client asks for its server's address, and remembers the answer.

Messages follow RFC 1035, section 4; the type AAAA follows RFC 3596. Names are in the domain ``example``, which RFC 2606
reserves, and their parts follow RFC 1123, section 2.1. Answers are cached for their time to live (RFC 1035, 3.2.1).
"""

from __future__ import annotations

import hashlib
import re
import struct
import unicodedata
from dataclasses import replace

import numpy as np

from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.capture_out.conversation import NANOSECONDS, Conversations, converse
from hf_ntg.flows.capture_out.endpoints import CLIENT_PORTS
from hf_ntg.flows.schema import MAX_DATAGRAM, UDP

__all__ = ["LONGEST_LEAD", "LOOKUP_LABEL", "TIME_TO_LIVE", "Lookups", "domain_name"]

LOOKUP_LABEL = "dns-lookup"
"""Class of the look-ups in the table beside a capture, in the comments of a pcapng file, and after an import."""
TIME_TO_LIVE = 300
"""Seconds for which a client uses an answer again."""
LONGEST_LEAD = 100_000_000
"""Most nanoseconds from a question to the flow that it precedes."""

_PORT = 53
_ASKED_BY_ADDRESS = (53, 67, 68, 137, 138, 1900, 5353, 5355)  # DNS itself, and services found by broadcast or multicast
_USUAL_ANSWER, _SPREAD, _FASTEST, _SLOWEST = 8e6, 0.8, 200_000, 90_000_000  # ns, a log-normal distribution
_SHORTEST_PAUSE, _LONGEST_PAUSE = 50_000, 2_000_000  # ns from the answer to the flow
_QUERY, _RESPONSE = 0x0100, 0x8180  # flags: recursion desired; and a response, with recursion available
_INTERNET, _ADDRESS_TYPES = 1, {4: 1, 16: 28}  # A and AAAA, by the bytes of an address
_POINTER_TO_QUESTION = 0xC00C
_LONGEST_SLUG, _DIGEST = 40, 8  # characters; a part of a name has at most 63


class Lookups:
    """Makes the look-ups of the flows of one capture, in the order in which the flows begin.

    A client asks for the name of its flow's server unless it has an answer that is still valid. No look-up precedes
    flows of DNS itself, or of services that are found by broadcast or multicast (DHCP, mDNS, LLMNR, NetBIOS, SSDP).

    Args:
        resolver: (4 or 16,) uint8 address of the host that all clients ask. seed: seed of all random choices.
        tick: resolution of the times in nanoseconds.

    Attributes:
        count: number of look-ups made so far.
    """

    def __init__(self, resolver: np.ndarray, seed: int, tick: int) -> None:
        self.resolver, self.tick = resolver, tick
        self.count = 0
        self._messages: dict[int, bytes] = {}
        self._rng = np.random.default_rng([seed, 3])
        self._valid_until: dict[tuple[bytes, bytes, str], int] = {}  # by client, server and name
        self._last_port: dict[bytes, int] = {}
        self._names: dict[tuple[str | None, bytes], str] = {}
        self._slugs: dict[str, str | None] = {}

    def before(self, conversations: Conversations, flows: FlowArrays) -> tuple[Conversations, FlowArrays] | None:
        """Return the look-ups that precede `conversations`, and a table of them; None if no client asks.

        Args:
            conversations: with addresses and absolute times, in the order of their first packets. flows: their flows.
        """
        first = conversations.packets[conversations.offsets[:-1]]
        up, width = first["upstream"], len(self.resolver)
        server_port = np.where(up, first["destination_port"], first["source_port"])
        clients = np.where(up[:, None], first["source"], first["destination"])[:, :width]
        servers = np.where(up[:, None], first["destination"], first["source"])[:, :width]
        answered, asked = self._times(first["time"])
        chosen: list[int] = []
        names: list[str] = []
        for row in np.flatnonzero(~np.isin(server_port, _ASKED_BY_ADDRESS)).tolist():
            client, server = clients[row].tobytes(), servers[row].tobytes()
            name = self._name(flows.label[row], server)
            if self._valid_until.get((client, server, name), -1) < first["time"][row]:
                self._valid_until[client, server, name] = int(answered[row]) + TIME_TO_LIVE * NANOSECONDS
                chosen.append(row)
                names.append(name)
        if not chosen:
            return None
        rows = np.array(chosen)
        messages = [self._exchange(name, servers[row].tobytes()) for name, row in zip(names, chosen, strict=True)]
        found = self._flows(messages, answered[rows] - asked[rows])
        return self._conversations(found, clients[rows], asked[rows], messages), found

    def take_messages(self) -> dict[int, bytes]:
        """Return the new DNS messages by the numbers that their packets name."""
        taken, self._messages = self._messages, {}
        return taken

    def _times(self, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return when flows that begin at `start` have their answers, and when they asked: (N,) ns each."""
        pause = self._rng.uniform(_SHORTEST_PAUSE, _LONGEST_PAUSE, len(start))
        wait = np.clip(_USUAL_ANSWER * self._rng.lognormal(0, _SPREAD, len(start)), _FASTEST, _SLOWEST)
        answered = start - np.ceil(pause / self.tick).astype(np.int64) * self.tick
        asked = answered - np.ceil(wait / self.tick).astype(np.int64) * self.tick
        return np.maximum(answered, 0), np.maximum(asked, 0)

    def _name(self, label: str | None, server: bytes) -> str:
        if (label, server) not in self._names:
            number = sum(known == label for known, _ in self._names) + 1
            self._names[label, server] = domain_name(label, number, self._slugs)
        return self._names[label, server]

    def _exchange(self, name: str, address: bytes) -> tuple[bytes, bytes]:
        """Return a question and its answer."""
        kind, number = _ADDRESS_TYPES[len(address)], int(self._rng.integers(0, 2**16))
        question = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"
        question += struct.pack(">HH", kind, _INTERNET)
        record = struct.pack(">HHHIH", _POINTER_TO_QUESTION, kind, _INTERNET, TIME_TO_LIVE, len(address)) + address
        heads = (
            struct.pack(">6H", number, flags, 1, answers, 0, 0) for flags, answers in ((_QUERY, 0), (_RESPONSE, 1))
        )
        query, response = heads
        return query + question, response + question + record

    def _flows(self, messages: list[tuple[bytes, bytes]], wait: np.ndarray) -> FlowArrays:
        """Return the look-ups as flows. `wait` is the time from each question to its answer, (n,) ns."""
        count = len(messages)
        labels, ids = np.full(count, LOOKUP_LABEL, object), np.empty(count, object)
        ids[:] = [f"lookup-{self.count + number}" for number in range(1, count + 1)]
        return FlowArrays(
            2 * np.arange(count + 1),
            payload_length=np.array([len(text) for pair in messages for text in pair], np.int32),
            direction=np.tile(np.array([1, -1], np.int8), count),
            label=labels,
            inter_arrival_time=np.stack([np.zeros(count), wait / NANOSECONDS], axis=1).ravel().astype(np.float32),
            flow_id=ids,
        )

    def _conversations(
        self, flows: FlowArrays, clients: np.ndarray, asked: np.ndarray, messages: list[tuple[bytes, bytes]]
    ) -> Conversations:
        """Return the look-ups `flows` with addresses, times and contents; all their packets count as added."""
        count, width = len(flows), len(self.resolver)
        every = np.full(count, UDP)
        found = converse(flows, every, every < 0, np.full(count, MAX_DATAGRAM), self._rng, tick=self.tick)
        pairs = found.packets.reshape(count, 2)  # question, answer
        pairs["flow"] = -1 - np.arange(self.count, self.count + count)[:, None]  # flows have numbers from 0
        pairs["time"] += asked[:, None]
        pairs["added"] = True
        for name, own in (("source", 0), ("destination", 1)):
            pairs[name][:, own, :width], pairs[name][:, 1 - own, :width] = clients, self.resolver
        ports = [self._client_port(client.tobytes()) for client in clients]
        for name, own in (("source_port", 0), ("destination_port", 1)):
            pairs[name][:, own], pairs[name][:, 1 - own] = ports, _PORT
        pairs["message"] = 1 + 2 * self.count + np.arange(2 * count).reshape(count, 2)
        texts = (text for pair in messages for text in pair)
        self._messages.update(zip(found.packets["message"].tolist(), texts, strict=True))
        self.count += count
        return replace(found, added_before=found.sizes)

    def _client_port(self, client: bytes) -> int:
        """Return the port after the one of the client's last look-up."""
        turn = self._last_port.get(client)
        turn = int(self._rng.integers(len(CLIENT_PORTS))) if turn is None else (turn + 1) % len(CLIENT_PORTS)
        self._last_port[client] = turn
        return int(CLIENT_PORTS[turn])


def domain_name(label: str | None, number: int, slugs: dict[str, str | None]) -> str:
    """Return the name of server `number` of the class `label`: ``n1.web.example`` for the first server of ``Web``.

    Letters and digits of the label are kept, without accents; everything else becomes hyphens. A label that is long, or
    whose name another label has, gets a hash. Flows without a label have servers of the class ``unlabelled``.

    Args:
        slugs: the labels that have names already, by their parts of the name. The new one is added.
    """
    text = unicodedata.normalize("NFKD", "unlabelled" if label is None else label).lower()
    plain = "".join(one for one in text if not unicodedata.combining(one))
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    digest = hashlib.sha256(repr(label).encode()).hexdigest()[:_DIGEST]
    if not slug or len(slug) > _LONGEST_SLUG or slugs.get(slug, label) != label:
        slug = f"{slug[:_LONGEST_SLUG].rstrip('-') or 'class'}-{digest}"
    slugs[slug] = label
    return f"n{number}.{slug}.example"
