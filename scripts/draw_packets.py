"""Draw a report's figure of packets, for a few classes, as a PNG file: the README's picture.

python scripts/draw_packets.py quickstart/report.json model_cards/figures/packets.png \\
    --classes dns http https ssh smtp mqtt rtp redis
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from hf_ntg.files import replacing
from hf_ntg.report.plots import draw_packets, save_figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path, help="report.json of ntg quickstart or ntg evaluate")
    parser.add_argument("output", type=Path, help="PNG file")
    parser.add_argument("--classes", nargs="+", required=True)
    arguments = parser.parse_args()
    result = json.loads(arguments.report.read_text(encoding="utf-8"))
    result["profiles"]["classes"] = arguments.classes
    with replacing(arguments.output) as scratch:
        save_figure(draw_packets(result["profiles"], result["max_packets"]), scratch)


if __name__ == "__main__":
    main()
