"""Print how varied a labelled flow table is, as Markdown: the table of the bundled set's data card.

    python scripts/describe_dataset.py [FLOWS]

A flow's *vector* is the signed payload length (direction times length) of its first 10 packets, zero where there is
none. `distinct` counts a class's different vectors. The two F1 columns are those of a random forest on the vectors,
5 folds: `random` stratified by class, `by capture` with no capture on both sides; the last line holds the means.
"""

from __future__ import annotations

import argparse

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from hf_ntg import load_flows
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.load import BUNDLED

PACKETS, FOLDS = 10, 5


def main() -> None:
    """Read the table, print the description."""
    parser = argparse.ArgumentParser(description="Print how varied a labelled flow table is, as Markdown.")
    parser.add_argument(
        "flows", nargs="?", default=BUNDLED, help="a flow table that load_flows reads (default: bundled)"
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    arrays = FlowArrays.from_dataset(load_flows(options.flows))
    vectors, labels = arrays.padded("signed_length", PACKETS), arrays.label.astype(str)
    captures = arrays.capture.astype(str)
    names = np.unique(labels)
    by_class = StratifiedKFold(FOLDS, shuffle=True, random_state=options.seed)
    by_capture = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=options.seed)
    random_f1 = _scores(vectors, labels, by_class.split(vectors, labels), options.seed)
    capture_f1 = _scores(vectors, labels, by_capture.split(vectors, labels, captures), options.seed)

    print("| class | flows | captures | distinct | packets, median | F1 random | F1 by capture |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for place, name in enumerate(names):
        own = labels == name
        distinct = len(np.unique(vectors[own], axis=0))
        cells = [name, own.sum(), len(np.unique(captures[own])), f"{distinct} ({distinct / own.sum():.0%})"]
        cells += [f"{np.median(arrays.packet_count[own]):.0f}", f"{random_f1[place]:.2f}", f"{capture_f1[place]:.2f}"]
        print(f"| {' | '.join(map(str, cells))} |")
    distinct = len(np.unique(vectors, axis=0))
    cells = ["all", len(labels), len(np.unique(captures)), f"{distinct} ({distinct / len(labels):.0%})"]
    cells += [f"{np.median(arrays.packet_count):.0f}", f"{random_f1.mean():.3f}", f"{capture_f1.mean():.3f}"]
    print(f"| {' | '.join(f'**{cell}**' for cell in cells)} |")


def _scores(vectors: np.ndarray, labels: np.ndarray, folds, seed: int) -> np.ndarray:
    """F1 of each class, in the order of the sorted names, over the pooled predictions of all folds."""
    guesses = np.empty_like(labels)
    for train, test in folds:
        forest = RandomForestClassifier(100, random_state=seed).fit(vectors[train], labels[train])
        guesses[test] = forest.predict(vectors[test])
    return f1_score(labels, guesses, average=None, labels=np.unique(labels))


if __name__ == "__main__":
    main()
