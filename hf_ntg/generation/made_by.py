"""Which generator made a flow table: a mark in the Parquet file's metadata, written by ``ntg generate``."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

import hf_ntg
from hf_ntg.errors import InputError

__all__ = ["MadeBy"]

_KEY = b"hf_ntg.made_by"


@dataclass(frozen=True)
class MadeBy:
    """How synthetic flows came about.

    Attributes:
        model: id on the Hub, or the name of a model's folder. revision: commit on the Hub, or ``sha256:`` and the hash
            of a local model's weights. seed: of the draw. command: the command line, with names of files only.
        hf_ntg: version that drew them.
    """

    model: str
    revision: str
    seed: int
    command: str = ""
    hf_ntg: str = hf_ntg.__version__

    @classmethod
    def of_model(cls, folder: str | Path, seed: int, command: str = "") -> MadeBy:
        """For flows drawn with the model in `folder`: a folder that training left, or a snapshot in the Hub's cache."""
        folder = Path(folder).resolve()
        # The cache's layout: models--ORGANISATION--NAME/snapshots/COMMIT.
        if folder.parent.name == "snapshots" and folder.parents[1].name.startswith("models--"):
            name = folder.parents[1].name.removeprefix("models--").replace("--", "/")
            return cls(name, folder.name, seed, command)
        hashed = hashlib.sha256()
        for weights in sorted(folder.rglob("*.safetensors")):
            hashed.update(weights.read_bytes())
        return cls(folder.name, f"sha256:{hashed.hexdigest()}", seed, command)

    @classmethod
    def of_schema(cls, schema: pa.Schema) -> MadeBy | None:
        """The mark in the metadata of a Parquet file, or None."""
        told = (schema.metadata or {}).get(_KEY)
        return None if told is None else cls(**json.loads(told))

    @classmethod
    def of_file(cls, path: str | Path) -> MadeBy | None:
        """The mark in the Parquet file at `path`, or None.

        Raises:
            InputError: not a readable Parquet file.
        """
        try:
            return cls.of_schema(pq.read_schema(path))
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"{path}: not a readable Parquet file ({str(error).splitlines()[0]})") from error

    def metadata(self) -> dict[bytes, bytes]:
        """The mark as Parquet metadata."""
        return {_KEY: json.dumps(asdict(self), ensure_ascii=False).encode()}
