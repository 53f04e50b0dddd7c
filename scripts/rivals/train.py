"""Train one synthesiser on a flow table and write its flows. Runs in the synthesiser's environment.

    cd scripts && PYTHON -m rivals.train arf train.parquet --output FOLDER --num-flows 1000

It writes ``flows.parquet`` and ``cost.json``: CPU seconds of training and of drawing, of this process and its children.
Importing libraries is not counted.
"""

from __future__ import annotations

import argparse
import importlib
import json
import random
import resource
import time
from pathlib import Path

import numpy as np

from rivals.forms import read_flows, write_flows
from rivals.synthesisers import LIBRARIES, SYNTHESISERS, Settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(SYNTHESISERS))
    parser.add_argument("train", help="flow table (Parquet) to learn from")
    parser.add_argument("--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--num-flows", type=int, required=True, help="flows to draw")
    parser.add_argument("--max-packets", type=int, default=10)
    parser.add_argument("--budget", type=float, help="CPU seconds of training; the recommended length if left out")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    np.random.seed(arguments.seed)
    flows = read_flows(arguments.train)
    settings = Settings(arguments.max_packets, arguments.seed, arguments.budget)
    for library in LIBRARIES[arguments.name]:
        importlib.import_module(library)
    started, began = time.perf_counter(), cpu_seconds()
    draw = SYNTHESISERS[arguments.name](flows, settings)
    cost = {"fit_seconds": time.perf_counter() - started}
    cost["fit_cpu_seconds"] = cpu_seconds() - began - settings.uncounted
    print(json.dumps(cost), flush=True)
    began = cpu_seconds()
    made = draw(arguments.num_flows)
    cost |= {"flows": len(made), "draw_cpu_seconds": cpu_seconds() - began, "notes": settings.notes}
    write_flows(made, str(arguments.output / "flows.parquet"))
    (arguments.output / "cost.json").write_text(json.dumps(cost) + "\n", encoding="utf-8")


def cpu_seconds() -> float:
    """CPU seconds of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in used)


if __name__ == "__main__":
    main()
