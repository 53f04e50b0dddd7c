"""Train a table synthesiser on a flow table and write its flows. Runs in the synthesiser's own environment.

The rivals pin other versions of what hf_ntg uses, so each gets an environment of its own, which hf_ntg is not in:

    python3 -m venv rivals && rivals/bin/pip install "torch<=2.13.0" "sdv>=2,<3" pyarrow  # copula, ctgan, par
    python3 -m venv rtf && rtf/bin/pip install "torch<=2.13.0" "realtabformer<0.3" "transformers<5"

    rivals/bin/python scripts/compare_rivals.py ctgan own/train.parquet --output own/ctgan.parquet
    ntg evaluate --train own/train.parquet --test own/test.parquet --synthetic own/ctgan.parquet --output own/ctgan

What is published of a report is kept by ``hf_ntg.hub.evaluation.keep_evaluation("own/ctgan/report.json", FOLDER)``.

``par``, a model of sequences, sees a packet a row and the label as context. The others see a flow as one row: label,
number of packets, then for each packet one whole number (direction times payload length plus one, so that an empty
packet keeps its direction) and the logarithm of its inter-arrival time. What comes back is read
as a flow: numbers are rounded, lengths clipped to 0 to 65,535 bytes, a flow has one packet at least.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

LEAST_TIME = 1e-6  # seconds
MAX_PAYLOAD = 65_535
TABLE = "flows"

Rival = tuple[Callable[[int], Any], Callable[[Any], list[dict]]]  # draws so many flows; reads what was drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rival", choices=sorted(RIVALS))
    parser.add_argument("train", type=Path, help="flow table (Parquet) to learn from")
    parser.add_argument("--output", type=Path, required=True, help="flow table to write")
    parser.add_argument("--num-flows", type=int, help="how many to draw; as many as are learned from if left out")
    parser.add_argument("--max-packets", type=int, default=10)
    parser.add_argument("--epochs", type=int, help="the rival's own default if left out")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    np.random.seed(arguments.seed)
    flows = pq.read_table(arguments.train).to_pandas()
    flows = flows[flows["label"].notna()].reset_index(drop=True)
    count = len(flows) if arguments.num_flows is None else arguments.num_flows
    started = time.perf_counter()
    sample, read = RIVALS[arguments.rival](flows, arguments)
    trained = time.perf_counter()
    drawn = sample(count)
    rate = count / (time.perf_counter() - trained)
    cost = f"{trained - started:.0f} s to train on {len(flows)} flows, {rate:,.0f} flows/s"
    print(f"{arguments.rival}: {cost}", file=sys.stderr)
    pq.write_table(as_flow_table(read(drawn)), arguments.output)
    print(arguments.output)


def copula(flows: pd.DataFrame, arguments: argparse.Namespace) -> Rival:
    """SDV's Gaussian copula for tables: the fastest of them, which knows no order of packets."""
    from sdv.single_table import GaussianCopulaSynthesizer

    return _of_rows(flows, arguments, GaussianCopulaSynthesizer)


def ctgan(flows: pd.DataFrame, arguments: argparse.Namespace) -> Rival:
    """SDV's conditional GAN for tables."""
    from sdv.single_table import CTGANSynthesizer

    options = {} if arguments.epochs is None else {"epochs": arguments.epochs}
    return _of_rows(flows, arguments, CTGANSynthesizer, enable_gpu=False, **options)


def _of_rows(flows: pd.DataFrame, arguments: argparse.Namespace, synthesizer: type, **options) -> Rival:
    rows = as_rows(flows, arguments.max_packets)
    kinds = {name: {"sdtype": "categorical" if name == "label" else "numerical"} for name in rows.columns}
    model = synthesizer(_sdv_metadata({"columns": kinds}), **options)
    model.fit({TABLE: rows})
    return model.sample, lambda drawn: from_rows(drawn[TABLE], arguments.max_packets)


def par(flows: pd.DataFrame, arguments: argparse.Namespace) -> Rival:
    """SDV's probabilistic auto-regressive model for sequences."""
    from sdv.sequential import PARSynthesizer

    packets = as_packets(flows, arguments.max_packets)
    kinds = {"flow": "id", "label": "categorical", "packet": "numerical", "time": "numerical"}
    metadata = {"columns": {name: {"sdtype": kind} for name, kind in kinds.items()}, "sequence_key": "flow"}
    options = {} if arguments.epochs is None else {"epochs": arguments.epochs}
    model = PARSynthesizer(_sdv_metadata(metadata), context_columns=["label"], cuda=False, **options)
    model.fit({TABLE: packets})

    def read(drawn: dict[str, pd.DataFrame]) -> list[dict]:
        groups = drawn[TABLE].groupby("flow", sort=False)
        return [_flow(own["label"].iloc[0], own["packet"], own["time"]) for _, own in groups]

    return model.sample_sequences, read


def realtabformer(flows: pd.DataFrame, arguments: argparse.Namespace) -> Rival:
    """REaLTabFormer: a GPT-2 over the digits of a row, here of our models' size.

    Trained for the epochs that are given, a step a batch where its default gathers four, and without its own rule to
    stop, which draws so often that a CPU takes days.
    """
    from realtabformer import REaLTabFormer
    from transformers import GPT2Config

    if arguments.epochs is None:
        raise SystemExit("realtabformer: give --epochs")
    config = GPT2Config(n_layer=4, n_head=4, n_embd=128)
    with tempfile.TemporaryDirectory() as scratch:
        folders = {name: f"{scratch}/{name}" for name in ("checkpoints_dir", "samples_save_dir", "full_save_dir")}
        model = REaLTabFormer(
            model_type="tabular",
            tabular_config=config,
            epochs=arguments.epochs,
            batch_size=64,
            gradient_accumulation_steps=1,
            random_state=arguments.seed,
            learning_rate=1e-3,
            **folders,
        )
        model.fit(as_rows(flows, arguments.max_packets), device="cpu", n_critic=0)
    sample = partial(model.sample, device="cpu")
    return lambda count: sample(n_samples=count), lambda drawn: from_rows(drawn, arguments.max_packets)


def _sdv_metadata(table: dict):
    from sdv.metadata import Metadata

    return Metadata.load_from_dict({"tables": {TABLE: table}, "relationships": []})


def as_rows(flows: pd.DataFrame, width: int) -> pd.DataFrame:
    """One row a flow: ``label``, ``packets``, ``packet_i``, ``time_i``; 0 where a flow has ended."""
    lists = [_packet_numbers(row, width) for row in flows.itertuples()]
    table = pd.DataFrame({"label": flows["label"], "packets": [len(numbers) for numbers, _ in lists]})
    for place in range(width):
        table[f"packet_{place}"] = [numbers[place] if place < len(numbers) else 0 for numbers, _ in lists]
    for place in range(1, width):
        table[f"time_{place}"] = [times[place] if place < len(times) else 0.0 for _, times in lists]
    return table


def from_rows(rows: pd.DataFrame, width: int) -> list[dict]:
    """The inverse of :func:`as_rows`."""
    made = []
    for row in rows.to_dict("records"):
        packets = int(np.clip(round(float(row["packets"])), 1, width))
        times = [0.0, *(row[f"time_{place}"] for place in range(1, packets))]
        made.append(_flow(row["label"], [row[f"packet_{place}"] for place in range(packets)], times))
    return made


def as_packets(flows: pd.DataFrame, width: int) -> pd.DataFrame:
    """One row a packet: ``flow``, ``label``, ``packet``, ``time``."""
    parts = []
    for index, row in enumerate(flows.itertuples()):
        numbers, times = _packet_numbers(row, width)
        parts.append(pd.DataFrame({"flow": f"flow-{index}", "label": row.label, "packet": numbers, "time": times}))
    return pd.concat(parts, ignore_index=True)


def _packet_numbers(row, width: int) -> tuple[list[int], list[float]]:
    lengths, directions = np.asarray(row.payload_length[:width]), np.asarray(row.direction[:width])
    seconds = np.asarray(getattr(row, "inter_arrival_time", np.zeros(len(lengths)))[:width], dtype=float)
    times = np.log10(np.maximum(seconds, LEAST_TIME))
    times[0] = 0.0
    return (directions.astype(int) * (lengths.astype(int) + 1)).tolist(), times.tolist()


def _flow(label: str, numbers, times) -> dict:
    numbers = np.rint(np.nan_to_num(np.asarray(numbers, dtype=float)))
    seconds = 10 ** np.clip(np.nan_to_num(np.asarray(times, dtype=float)), -6, 6)
    seconds[seconds <= LEAST_TIME] = 0.0
    seconds[0] = 0.0
    return {
        "label": str(label),
        "payload_length": np.clip(np.abs(numbers) - 1, 0, MAX_PAYLOAD).astype(int).tolist(),
        "direction": np.where(numbers < 0, -1, 1).tolist(),
        "inter_arrival_time": seconds.tolist(),
    }


def as_flow_table(made: list[dict]) -> pa.Table:
    """Flows in the schema that ``ntg evaluate`` reads."""
    types = {
        "label": pa.string(),
        "payload_length": pa.list_(pa.int32()),
        "direction": pa.list_(pa.int8()),
        "inter_arrival_time": pa.list_(pa.float32()),
    }
    return pa.Table.from_pylist(made, pa.schema(list(types.items())))


RIVALS = {"copula": copula, "ctgan": ctgan, "par": par, "realtabformer": realtabformer}

if __name__ == "__main__":
    main()
