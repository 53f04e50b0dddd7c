"""Selection of classes and flows for a recipe, from a table that may be larger than memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset

from hf_ntg.errors import InputError
from hf_ntg.files import replacing

__all__ = ["ClassChoice", "choose_classes"]


@dataclass(frozen=True)
class ClassChoice:
    """A reproducible rule that selects classes and flows.

    Attributes:
        most: number of classes to take, those with the most flows (ties by name); None takes all.
        min_flows: classes with fewer flows are left out.
        leave_out: labels that are not classes, such as "background".
        flows_each: largest number of flows of a class, drawn at random; None takes all.
        seed: seed of that draw.
    """

    most: int | None = None
    min_flows: int = 1
    leave_out: tuple[str, ...] | list[str] = ()
    flows_each: int | None = None
    seed: int = 0

    def rule(self, taken: Dataset) -> str:
        """Describe the rule and its result in words; `taken` are the training flows."""
        parts = [f"{len(set(taken['label']))} classes"]
        if self.most is not None:
            parts.append(f"the {self.most} with the most flows (ties by name)")
        if self.min_flows > 1:
            parts.append(f"classes with fewer than {self.min_flows} flows left out")
        if self.leave_out:
            parts.append(f"{', '.join(self.leave_out)} left out")
        if self.flows_each is not None:
            parts.append(f"at most {self.flows_each:,} flows of each, drawn with seed {self.seed}")
        return "; ".join(parts)


def choose_classes(table: str | Path, output: str | Path, choice: ClassChoice) -> None:
    """Write the flows of `table` that `choice` selects to `output`, in their order. Both are Parquet files.

    Raises:
        InputError: no flow is left.
    """
    labels = pq.read_table(table, columns=["label"]).column("label").to_numpy()
    counts = Counter(label for label in labels if label is not None and label not in choice.leave_out)
    ranked = sorted(
        (name for name in counts if counts[name] >= choice.min_flows), key=lambda name: (-counts[name], name)
    )
    names = sorted(ranked[: choice.most])
    kept = np.zeros(len(labels), dtype=bool)
    for place, name in enumerate(names):
        rows = np.flatnonzero(labels == name)
        if choice.flows_each is not None and len(rows) > choice.flows_each:
            rows = np.random.default_rng([choice.seed, place]).permutation(rows)[: choice.flows_each]
        kept[rows] = True
    if not kept.any():
        raise InputError(f"{table}: no class has {choice.min_flows} flows; ask for fewer by classes.min_flows")
    with (
        replacing(output) as scratch,
        pq.ParquetFile(table) as file,
        pq.ParquetWriter(scratch, file.schema_arrow, compression="zstd") as writer,
    ):
        start = 0
        for batch in file.iter_batches(20_000):
            part = batch.filter(pa.array(kept[start : start + len(batch)]))
            start += len(batch)
            if len(part):
                writer.write_batch(part)
