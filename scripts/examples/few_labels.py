"""Few labelled flows, topped up with generated ones, for a scikit-learn classifier.

    python scripts/examples/few_labels.py --few 10 --per-class 100

The generator is trained on the few flows alone, so the comparison is fair: nothing else was known. Prints the macro-F1
of a random forest on held-out flows, trained on the few flows, on the topped-up flows, and on all training flows.
"""

from __future__ import annotations

import argparse
import tempfile

import numpy as np
from datasets import Dataset
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import f1_score

from hf_ntg import TrainingConfig, augment, load_flows, split_flows, train
from hf_ntg.flows import FlowArrays


def take_few(flows: Dataset, count: int, seed: int) -> Dataset:
    """`count` random flows of each class."""
    labels, rng = np.array(flows["label"]), np.random.default_rng(seed)
    rows = [rng.permutation(np.flatnonzero(labels == label))[:count] for label in np.unique(labels)]
    return flows.select(np.concatenate(rows))


def macro_f1(training: Dataset, test: Dataset, seed: int) -> float:
    """Macro-F1 on `test` of a random forest that sees lengths and directions of the first 10 packets."""
    known, asked = FlowArrays.from_dataset(training), FlowArrays.from_dataset(test)
    forest = RandomForestClassifier(random_state=seed)
    forest.fit(known.padded("signed_length", 10), known.label.astype(str))
    predicted = forest.predict(asked.padded("signed_length", 10))
    return float(f1_score(asked.label.astype(str), predicted, average="macro"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flows", default="loopback", help="a labelled flow table; the bundled one by default")
    parser.add_argument("--few", type=int, default=10, help="real flows of each class")
    parser.add_argument("--per-class", type=int, default=100, help="flows of each class after the top-up")
    parser.add_argument("--epochs", type=int, default=40, help="passes over the few flows")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    parts = split_flows(load_flows(options.flows), by="capture", seed=options.seed)
    few = take_few(parts["train"], options.few, options.seed)
    with tempfile.TemporaryDirectory() as folder:
        settings = {"epochs": options.epochs, "validation_share": 0, "seed": options.seed}
        generator = train(few, TrainingConfig.recipe("gpt2", output_dir=folder, **settings))
        topped_up = augment(few, generator, per_class=options.per_class, seed=options.seed)
    for name, training in (("few real flows", few), ("topped up", topped_up), ("all real flows", parts["train"])):
        print(f"{name:>15}: {len(training):6,} flows, macro-F1 {macro_f1(training, parts['test'], options.seed):.3f}")


if __name__ == "__main__":
    main()
