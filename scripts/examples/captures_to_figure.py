"""From captures to flows to a figure: train on captures of several classes, and plot real next to generated flows.

    python scripts/examples/captures_to_figure.py browsing.pcap video.pcapng --output figure

Each file is one class, named by the file. Without files, two small captures are written from the bundled flows first.
The figure (OUTPUT/packets.png) shows payload length and direction at each packet position of each class.
"""

from __future__ import annotations

import argparse
import base64
from pathlib import Path

from datasets import concatenate_datasets

from hf_ntg import FlowGenerator, TrainingConfig, evaluate_flows, load_flows, split_flows, train, write_pcap
from hf_ntg.report.plots import packet_profiles


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
    train(parts["train"], config)
    generator = FlowGenerator.from_pretrained(options.output / "model")
    counts = {label: parts["train"]["label"].count(label) for label in generator.labels}
    synthetic = generator.generate(label=counts, seed=0)

    # 3. Compare with the held-out flows, and plot.
    result = evaluate_flows(parts["train"], parts["test"], synthetic)
    picture = packet_profiles(result).partition("base64,")[2]
    (options.output / "packets.png").write_bytes(base64.b64decode(picture))
    print(options.output / "packets.png")


if __name__ == "__main__":
    main()
