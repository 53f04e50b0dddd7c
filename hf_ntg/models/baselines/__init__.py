"""Generators that a learned one has to beat, behind one face: fit, generate, save, load.

All are NumPy alone, except ``cvae`` (torch) and ``smote`` (imbalanced-learn), which import theirs when they are used.
"""

import re

from hf_ntg.errors import InputError
from hf_ntg.models.baselines.empirical import Independent, Replay
from hf_ntg.models.baselines.generator import BaselineGenerator
from hf_ntg.models.baselines.ngram import NGram
from hf_ntg.models.baselines.smote import Smote
from hf_ntg.models.baselines.tuned_ngram import TunedNGram

__all__ = ["BASELINES", "BaselineGenerator", "Independent", "NGram", "Replay", "Smote", "TunedNGram", "make_baseline"]

# Names for make_baseline; any 1-gram to 9-gram too.
BASELINES = ("replay", "independent", "smote", "cvae", "4-gram", "tuned-n-gram")


def make_baseline(name: str) -> BaselineGenerator:
    """A baseline, not yet fitted, by its name: one of `BASELINES`, or ``3-gram`` and the like.

    Raises:
        InputError: no baseline has that name.
    """
    if match := re.fullmatch(r"([1-9])-gram", name):
        return NGram(int(match[1]))
    if name == "cvae":
        from hf_ntg.models.baselines.cvae import Cvae

        return Cvae()
    found = {kind.kind: kind for kind in (Replay, Independent, Smote, TunedNGram)}
    if name not in found:
        raise InputError(f"no baseline {name!r}; choose from {', '.join(found)}, cvae, 1-gram to 9-gram")
    return found[name]()
