"""Base classes and helpers for readers of flows: batches, the reader protocol, and errors about columns."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.byte_stream import BrokenFileError

__all__ = ["FlowBatch", "FlowReader", "no_columns", "packed_address"]


@dataclass(frozen=True)
class FlowBatch:
    """A batch of flows from a source, with facts that are not in the schema.

    Attributes:
        flows: the flows. source, destination: packed addresses (4 or 16 bytes, empty where unknown) of initiator and
            other side. start: seconds since 1970 of the first packet. sni: requested server name, or None.
    """

    flows: FlowArrays
    source: list[bytes] | None = None
    destination: list[bytes] | None = None
    start: np.ndarray | None = None
    sni: list[str | None] | None = None

    def __len__(self) -> int:
        return len(self.flows)


class FlowReader(Protocol):
    """Streams the flows of one file. Iterate to get batches; the attributes then describe the rest of the file.

    Attributes:
        skipped: counts of items left out, by reason. noticed: other remarks, counted.
        broken: the damage at which reading ended before the end of the file, or None.
    """

    @property
    def skipped(self) -> Counter[str]: ...

    @property
    def noticed(self) -> Counter[str]: ...

    @property
    def broken(self) -> BrokenFileError | None: ...

    def __iter__(self) -> Iterator[FlowBatch]: ...


def no_columns(path: Path, missing: list[str], found: list[str], remedy: str) -> InputError:
    """Return the error for a table at `path` without the columns `missing`."""
    there = ", ".join(map(repr, found[:40])) or "none"
    return InputError(f"{path}: no column {', '.join(map(repr, missing))} (found: {there}); {remedy}")


def packed_address(text: object) -> bytes:
    """Return the bytes of an IP address (4 or 16); empty if `text` is not an address."""
    try:
        return ipaddress.ip_address(text).packed if isinstance(text, str) else b""
    except ValueError:
        return b""
