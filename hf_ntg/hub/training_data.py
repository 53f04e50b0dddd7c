"""TrainingData: a description of what a model was trained on, kept in its repository as ``training_data.json``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from hf_ntg.files import write_text
from hf_ntg.model_files.descriptions import read_description

__all__ = ["TRAINING_DATA_FILE", "TrainingData"]

TRAINING_DATA_FILE = "training_data.json"


@dataclass(frozen=True)
class TrainingData:
    """The training flows, described for a card. It holds no flow.

    Attributes:
        name: name of the data set. url: where to get it. licence: its licence.
        citation: how its authors want to be cited. hub_id: its id on the Hub, if it has one.
        classes: how the classes were chosen. split: how training and test flows were separated.
        notes: what a reader of the scores must know.
        commands: the commands that make the model again.
        complete: False for a trial run: fewer data or other settings than the recipe has.
    """

    name: str
    url: str = ""
    licence: str = ""
    citation: str = ""
    hub_id: str = ""
    classes: str = ""
    split: str = ""
    notes: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    complete: bool = True

    def save(self, folder: str | Path) -> None:
        """Write ``training_data.json`` into `folder`."""
        write_text(Path(folder) / TRAINING_DATA_FILE, json.dumps(asdict(self), ensure_ascii=False, indent=2) + "\n")

    @classmethod
    def load(cls, folder: str | Path) -> TrainingData | None:
        """Read a folder's ``training_data.json``; None where it has none.

        Raises:
            InputError: the file was not written by :meth:`save`.
        """
        path = Path(folder) / TRAINING_DATA_FILE
        if not path.is_file():
            return None
        return cls(**read_description(path))
