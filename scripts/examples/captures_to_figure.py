"""From captures to flows to a figure: train on captures of several classes, and plot real next to generated flows.

    python scripts/examples/captures_to_figure.py browsing.pcap video.pcapng --output figure

Each file is one class, named by the file. Without files, two small captures are written from the bundled flows first.
The figures (OUTPUT/packets.pdf, OUTPUT/times.pdf) show payload length and direction at each packet position, and the
times between packets, of each class.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from datasets import concatenate_datasets

from hf_ntg import TrainingConfig, evaluate_flows, load_flows, plot_flows, split_flows, train, write_pcap


def example_captures(folder: Path, labels: tuple[str, ...] = ("dns", "https")) -> list[Path]:
    """Write one capture of bundled flows for each of `labels`."""
    flows = load_flows("loopback")
    paths = []
    for label in labels:
        path = folder / f"{label}.pcap"
        write_pcap(flows.filter(lambda row, wanted=label: row["label"] == wanted).select(range(120)), path)
        paths.append(path)
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captures", nargs="*", type=Path, help="pcap or pcapng files, one for each class")
    parser.add_argument("--output", type=Path, default=Path("figure"), help="folder for everything that is made")
    parser.add_argument("--epochs", type=int, default=10, help="passes over the training flows")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    captures = options.captures or example_captures(options.output)

    # 1. Read the captures. Each file's name becomes the label of its flows.
    flows = concatenate_datasets([load_flows(path, label=path.stem) for path in captures])
    parts = split_flows(flows, by="random", seed=0)
    print(f"{len(flows)} flows: {len(parts['train'])} to train on, {len(parts['test'])} held out")

    # 2. Train a small GPT-2, and generate as many flows of each class as it was trained on.
    config = TrainingConfig.recipe("gpt2", epochs=options.epochs, output_dir=str(options.output / "model"))
    generator = train(parts["train"], config)
    print(generator)
    counts = {label: parts["train"]["label"].count(label) for label in generator.labels}
    synthetic = generator.generate(label=counts, seed=0)

    # 3. Compare with the held-out flows, and plot.
    print(evaluate_flows(parts["train"], parts["test"], synthetic))
    for what in ("packets", "times"):
        plot_flows(parts["test"], synthetic, what).savefig(options.output / f"{what}.pdf")
        print(options.output / f"{what}.pdf")


if __name__ == "__main__":
    main()
