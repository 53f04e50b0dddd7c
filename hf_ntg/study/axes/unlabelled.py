"""scikit-learn's own methods for few labelled and many unlabelled examples."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays

__all__ = ["guess_by_library"]


def guess_by_library(name: str, few: FlowArrays, others: FlowArrays, max_packets: int, seed: int) -> np.ndarray:
    """Labels of N flows `others`, guessed from the labelled flows `few` and from both sets' packets.

    The features are the signed payload lengths of the first `max_packets` packets. ``self-training`` is a random forest
    that is trained on its own predictions above a probability of 0.75, in five rounds. ``label-spreading`` spreads
    labels over the graph of seven nearest neighbours, lengths being on a logarithmic scale.

    Returns:
        (N,) object: the label (str), or None for a flow in a part of the graph without labels.

    Raises:
        InputError: there is no such method.

    Source: Yarowsky, Unsupervised word sense disambiguation rivaling supervised methods, ACL 1995; Zhou et al.,
    Learning with local and global consistency, NeurIPS 2004; both as in scikit-learn.
    """
    classes, known = np.unique(few.label.astype(str), return_inverse=True)
    targets = np.concatenate([known, np.full(len(others), -1)])
    lengths = np.concatenate([flows.padded("signed_length", max_packets) for flows in (few, others)])
    if name == "self-training":
        forest = RandomForestClassifier(100, random_state=seed, n_jobs=1)
        model = SelfTrainingClassifier(forest, threshold=0.75, max_iter=5).fit(lengths, targets)
        return classes[model.predict(lengths[len(few) :])].astype(object)
    if name == "label-spreading":
        graph = LabelSpreading(kernel="knn", n_neighbors=7)
        with warnings.catch_warnings(), np.errstate(invalid="ignore"):
            warnings.filterwarnings("ignore", category=ConvergenceWarning)  # the last round is used
            graph.fit(np.sign(lengths) * np.log1p(np.abs(lengths)), targets)
        shares = graph.label_distributions_[len(few) :]
        reached = np.isfinite(shares).all(axis=1) & (shares.sum(axis=1) > 0)
        guessed = classes[np.nan_to_num(shares).argmax(axis=1)].astype(object)
        guessed[~reached] = None
        return guessed
    raise InputError(f"no method {name!r} for unlabelled flows; choose 'self-training' or 'label-spreading'")
