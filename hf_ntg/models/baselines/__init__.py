"""Baselines: simple generators that a learned one has to beat.

All need only NumPy, except ``cvae`` (torch) and ``smote`` (imbalanced-learn). Those packages are imported on first use.
"""

import re
from pathlib import Path

from hf_ntg.errors import InputError
from hf_ntg.models.baselines.baseline import BASELINE_FILE, Baseline
from hf_ntg.models.baselines.empirical import Independent, Replay
from hf_ntg.models.baselines.ngram import NGram
from hf_ntg.models.baselines.private_ngram import PrivateNGram
from hf_ntg.models.baselines.saved_file import read_baseline
from hf_ntg.models.baselines.smote import Smote
from hf_ntg.models.baselines.tuned_ngram import TunedNGram

__all__ = [
    "BASELINES",
    "BASELINE_FILE",
    "Baseline",
    "Independent",
    "NGram",
    "PrivateNGram",
    "Replay",
    "Smote",
    "TunedNGram",
    "load_baseline",
    "make_baseline",
]

# Names for make_baseline; any 1-gram to 9-gram too, and private-n-gram:EPSILON.
BASELINES = ("replay", "independent", "smote", "cvae", "4-gram", "tuned-n-gram")


_KINDS = (NGram, Replay, Independent, Smote, TunedNGram, PrivateNGram)


def make_baseline(name: str) -> Baseline:
    """Make an unfitted baseline by its name: one of `BASELINES`, ``1-gram`` to ``9-gram``, or ``private-n-gram:8``.

    The number after the colon is the epsilon of a differentially private one.

    Raises:
        InputError: no baseline has that name.
    """
    if match := re.fullmatch(r"([1-9])-gram", name):
        return NGram(int(match[1]))
    if match := re.fullmatch(rf"{PrivateNGram.kind}:([0-9]+(?:\.[0-9]+)?)", name):
        return PrivateNGram(float(match[1]))
    return _class_of(name, f"no baseline {name!r}")()


def load_baseline(path: str | Path) -> Baseline:
    """Read a fitted baseline that :meth:`Baseline.save` wrote.

    Raises:
        InputError: the file is missing, damaged, or holds something else.
    """
    saved = read_baseline(Path(path))
    kind = _class_of(saved.kind, f"{path}: holds no baseline")
    return kind.restore(saved.max_packets, saved.labels, saved.view, saved.tensors)


def _class_of(kind: str, complaint: str) -> type[Baseline]:
    if kind == "cvae":
        from hf_ntg.models.baselines.cvae import Cvae

        return Cvae
    found: dict[str, type[Baseline]] = {one.kind: one for one in _KINDS}
    if kind not in found:
        named = ", ".join(name for name in found if name != NGram.kind)
        raise InputError(f"{complaint}; choose from {named}, cvae, 1-gram to 9-gram")
    return found[kind]
