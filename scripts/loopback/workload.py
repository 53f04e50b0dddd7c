"""Everything random about a capture, drawn from one seed: who the client is, how far away, what it asks for."""

from __future__ import annotations

import math
import random
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

__all__ = ["Persona", "Service", "Session", "lognormal", "name_of", "text", "words"]

T = TypeVar("T")
_SYLLABLES = [
    "ba",
    "ce",
    "di",
    "fo",
    "gu",
    "ha",
    "je",
    "ki",
    "lo",
    "mu",
    "na",
    "pe",
    "qui",
    "ro",
    "su",
    "ta",
    "ve",
    "wi",
    "xo",
    "yu",
    "zan",
    "ter",
    "mol",
    "pris",
    "con",
    "der",
]


@dataclass(frozen=True)
class Persona:
    """One capture's character. The same (seed, service, index) gives the same character in every process."""

    service: str
    index: int
    seed: int = 0

    @classmethod
    def named(cls, seed: str, capture: str) -> Persona:
        """The persona of a capture's name."""
        service, _, index = capture.rpartition("-")
        return cls(service, int(index), int(seed))

    @property
    def capture(self) -> str:
        """The capture's name, e.g. ``https-3``."""
        return f"{self.service}-{self.index}"

    @property
    def hosts(self) -> list[str]:
        """Names of the server, short and long."""
        rng = self.rng("hosts")
        return [".".join(name_of(rng, 1, 5) for _ in range(rng.randint(1, 4))) + ".test" for _ in range(12)]

    @property
    def users(self) -> dict[str, str]:
        """Names and passwords of people who may log in."""
        rng = self.rng("users")
        return {name_of(rng, 1, 7): name_of(rng, 3, 9) for _ in range(30)}

    def rng(self, *purpose: object) -> random.Random:
        """A generator of its own for each purpose, so that adding one draw changes no other."""
        return random.Random("/".join(map(str, (self.seed, self.service, self.index, *purpose))))

    def cycle(self, *options: T) -> T:
        """An option by turns: captures next to each other differ."""
        return options[self.index % len(options)]

    def pick(self, purpose: str, options: Sequence[T]) -> T:
        """An option by lot, always the same one for a purpose."""
        return self.rng(purpose).choice(options)


@dataclass(frozen=True)
class Service:
    """How to run and to use one service.

    Attributes:
        start: starts the servers; returns when they listen.
        session: plays one client session of one or more flows.
        ports: (protocol, first port, last port, label) of flows to keep; others are counted and dropped.
        sessions: client sessions a capture.
        workers: sessions that one client host plays at a time.
        flows: flows of one label kept from a capture, at most.
    """

    start: Callable
    session: Callable[[Session], None]
    ports: tuple[tuple[int, int, int, str], ...]
    sessions: int = 60
    workers: int = 3
    flows: int = 54


@dataclass
class Session:
    """One client session: its random numbers, the server's address, and the capture's folder."""

    persona: Persona
    rng: random.Random
    server: str
    folder: Path
    number: int

    def client(self, *options: T) -> T:
        """A client program: two times in three the persona's own, else any."""
        return self.persona.cycle(*options) if self.rng.random() < 0.67 else self.rng.choice(options)

    def think(self, median: float = 0.08, sigma: float = 1.0, longest: float = 2.0) -> None:
        """Wait as a person or a program would: log-normal."""
        time.sleep(min(self.rng.lognormvariate(math.log(median), sigma), longest))

    def run(self, *command: object, stdin: str | bytes | None = None, timeout: float = 25) -> bytes:
        """Run a client program to its end, whatever its exit status (errors are traffic too); give its output."""
        given = stdin.encode() if isinstance(stdin, str) else stdin
        source = {"stdin": subprocess.DEVNULL} if given is None else {"input": given}
        done = subprocess.run([str(part) for part in command], capture_output=True, timeout=timeout, **source)
        return done.stdout

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.rng.random() < probability

    @property
    def host(self) -> str:
        """One of the server's names, which the client hosts resolve from their hosts file."""
        return self.rng.choice(self.persona.hosts)

    def log_in(self, failing: float = 0.06) -> tuple[str, str]:
        """A user's name and password; `failing` is the share of wrong passwords."""
        user, password = self.rng.choice(list(self.persona.users.items()))
        return user, self.words(1, 2) if self.chance(failing) else password

    def words(self, low: int, high: int) -> str:
        """Between `low` and `high` words."""
        return words(self.rng, self.rng.randint(low, high))

    def size(self, median: float, sigma: float = 1.0, high: int = 200_000) -> int:
        """A log-normal size in bytes."""
        return lognormal(self.rng, median, sigma, high=high)


def lognormal(rng: random.Random, median: float, sigma: float = 1.0, low: int = 1, high: int = 1_000_000) -> int:
    """A log-normal integer, clipped to [low, high]."""
    return int(min(max(rng.lognormvariate(math.log(median), sigma), low), high))


def name_of(rng: random.Random, low: int = 2, high: int = 4) -> str:
    """A pronounceable name of `low` to `high` syllables."""
    return "".join(rng.choice(_SYLLABLES) for _ in range(rng.randint(low, high)))


def words(rng: random.Random, count: int) -> str:
    """`count` made-up words."""
    return " ".join(name_of(rng, 1, 4) for _ in range(count))


def text(rng: random.Random, size: int) -> str:
    """Made-up prose of exactly `size` characters."""
    prose = words(rng, min(size // 4 + 1, 4000))
    return (prose * (size // max(len(prose), 1) + 1))[:size]
