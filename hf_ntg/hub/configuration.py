"""Configuration: one named part of a data set repository, with what its card says of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from datasets import DatasetInfo

from hf_ntg.flows.provenance import Provenance

__all__ = ["Configuration"]


@dataclass
class Configuration:
    """One configuration of a data set.

    Attributes:
        name: name of the configuration.
        info: features, splits and sizes, as ``datasets`` describes them.
        provenance: by split, which generator made it. class_counts: by split, the flows of each class.
    """

    name: str
    info: DatasetInfo
    provenance: dict[str, Provenance] = field(default_factory=dict)
    class_counts: dict[str, Counter[str | None]] = field(default_factory=dict)
