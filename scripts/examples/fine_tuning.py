"""Fine-tune a trained model on flows of other classes.

    python scripts/examples/fine_tuning.py --base ORGANISATION/ntg-gpt2-loopback --flows own.parquet --output own-model

`--base` is a folder or a Hub id. Without it, a base model is trained on half of the bundled classes and fine-tuned on
the other half. Prints the log-likelihood of held-out flows under that model and under one that is trained from scratch
with the same settings.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from hf_ntg import TrainingConfig, load_flows, split_flows, train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", help="the trained model; by default one is made from bundled flows")
    parser.add_argument("--flows", help="a labelled flow table; by default bundled flows of other classes")
    parser.add_argument("--output", type=Path, default=Path("fine-tuned"), help="folder for the models")
    parser.add_argument("--base-epochs", type=int, default=10, help="passes that train the base model")
    parser.add_argument("--epochs", type=int, default=5, help="passes that fine-tune it")
    options = parser.parse_args()

    bundled = load_flows("loopback")
    names = sorted(set(bundled["label"]))
    base = options.base
    if base is None:
        base = str(options.output / "base")
        known = bundled.filter(lambda row: row["label"] in names[::2])
        train(known, TrainingConfig.recipe("gpt2", epochs=options.base_epochs, output_dir=base))
    own = load_flows(options.flows) if options.flows else bundled.filter(lambda row: row["label"] in names[1::2])
    parts = split_flows(own, by="random", seed=0)

    # A quarter of the usual learning rate keeps what the base model knows. From scratch, the family and sizes are its.
    tuned = TrainingConfig.recipe(initial_model=base)
    kept = {name: getattr(tuned, name) for name in ("model", "view", "max_packets", "width", "layers")}
    trainings = {"fine-tuned": {"initial_model": base, "learning_rate": tuned.learning_rate / 4}, "from scratch": kept}
    for name, settings in trainings.items():
        folder = options.output / name.replace(" ", "-")
        config = TrainingConfig.recipe(epochs=options.epochs, output_dir=str(folder), **settings)
        likelihood = train(parts["train"], config).log_likelihood(parts["test"]).mean()
        print(f"{name:>12}: {likelihood:8.2f} nats a held-out flow, model in {folder}")


if __name__ == "__main__":
    main()
