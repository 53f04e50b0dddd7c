"""What the page does for one visitor: make flows, describe them, and pack them for download."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from datasets import Dataset

from hf_ntg.errors import InputError
from hf_ntg.flows import load_flows, save_flows, write_pcap
from hf_ntg.flows.arrays import FlowArrays, as_arrays
from hf_ntg.flows.capture_out.options import parse_start
from hf_ntg.flows.view import in_one_view
from hf_ntg.generation import FlowGenerator
from hf_ntg.metrics.copies import once_seen_copies

__all__ = [
    "MOST_FLOWS",
    "ROW_HEAD",
    "CaptureSettings",
    "RealFlows",
    "as_rows",
    "copies_in_words",
    "make_flows",
    "pack",
]

MOST_FLOWS = 10_000
SHOWN_ROWS = 50
ROW_HEAD = ("flow_id", "label", "protocol", "destination_port", "packet_count", "packets")
_T = TypeVar("_T")


@dataclass(frozen=True)
class RealFlows:
    """Real flows to compare with: those that a recipe's run left next to its model.

    Attributes:
        train, test: training flows of the model, and held-out flows.
    """

    train: FlowArrays
    test: FlowArrays

    @classmethod
    def next_to(cls, model: str | Path) -> RealFlows | None:
        """The flows in ``../flows/`` of the folder `model`; None where there are none."""
        paths = [Path(model).parent / "flows" / f"{part}.parquet" for part in ("train", "test")]
        if not Path(model).is_dir() or not all(path.is_file() for path in paths):
            return None
        return cls(*(as_arrays(load_flows(path), str(path)) for path in paths))


@dataclass(frozen=True)
class CaptureSettings:
    """How the capture of the download is written; see :class:`hf_ntg.flows.capture_out.options.CaptureOptions`.

    Attributes:
        rate: flows that begin in a second. clients, servers: networks. start: date and time.
    """

    rate: float = 10.0
    clients: str = "10.0.0.0/8"
    servers: str = "203.0.113.0/24"
    start: str = "2020-01-01T00:00:00Z"

    def write(self, flows: Dataset, path: Path, seed: int) -> None:
        """Write `flows` to the capture `path`.

        Raises:
            InputError: a setting is out of its range; the message names the field of the page.
        """
        if not isinstance(self.rate, int | float) or not 0.001 <= self.rate <= 1e6:
            raise InputError("Flows a second: give a number from 0.001 to 1,000,000")
        start = _of_field("Start of the capture", lambda: parse_start(self.start.strip()))
        settings: dict[str, Any] = {"rate": self.rate, "start_time": start, "clients": self.clients.strip()}
        settings["servers"] = self.servers.strip()
        _of_field("Capture", lambda: write_pcap(flows, path, seed, **settings))


def make_flows(
    generator: FlowGenerator, labels: Sequence[str], num_flows: float, seed: float, options: Mapping[str, Any]
) -> Dataset:
    """Generate what a visitor asks for.

    Args:
        labels: classes, which share the flows evenly; none means the mix of the training flows.
        num_flows: 1 to 10,000. seed: 0 or more.
        options: of samplers; those that this model does not have, and empty values, are left out.

    Raises:
        InputError: a field is out of its range; the message names the field.
    """
    if num_flows is None or not 1 <= num_flows <= MOST_FLOWS:
        raise InputError(f"Flows: give 1 to {MOST_FLOWS:,}; make more with 'ntg generate'")
    if seed is None or not 0 <= seed < 2**63:
        raise InputError("Seed: give a whole number from 0")
    wanted = None
    if labels:
        share, rest = divmod(int(num_flows), len(labels))
        wanted = {label: share + (place < rest) for place, label in enumerate(labels)}
    known = generator.sampler.options
    chosen = {name: value for name, value in options.items() if value not in (None, "") and name in known}
    return _of_field("Settings", lambda: generator.generate(int(num_flows), wanted, int(seed), **chosen))


def as_rows(flows: Dataset) -> list[list]:
    """The first 50 flows as rows of a table: the columns `ROW_HEAD`, packets as signed lengths."""
    rows = []
    for flow in flows.select(range(min(SHOWN_ROWS, len(flows)))):
        packets = zip(flow["payload_length"], flow["direction"], strict=True)
        text = " ".join(f"{'+' if direction > 0 else '-'}{length}" for length, direction in packets)
        rows.append([*(flow.get(name) for name in ROW_HEAD[:-1]), text])
    return rows


def copies_in_words(flows: Dataset, real: RealFlows | None) -> str:
    """How many of `flows` repeat a training flow that occurred once, next to the same share of real held-out flows."""
    if real is None:
        return "How many of these flows repeat a training flow is not known here: the training flows are not at hand."
    tables = {"synthetic": as_arrays(flows, "synthetic flows"), "train": real.train, "test": real.test}
    seen, _, _ = in_one_view(tables)
    found = once_seen_copies(seen["test"], seen["synthetic"], seen["train"])
    return (
        f"{found['once_seen']:.1%} of these flows repeat a training flow that occurred once; of real held-out flows "
        f"{found['unseen']['once_seen']:.1%} do."
    )


def pack(flows: Dataset, folder: Path, seed: int, capture: CaptureSettings | None = None) -> Path:
    """Write `flows` as Parquet, CSV, JSON lines and pcapng with its table of labels into one ZIP file in `folder`."""
    for suffix in ("parquet", "csv", "jsonl"):
        save_flows(flows, folder / f"synthetic.{suffix}")
    (capture or CaptureSettings()).write(flows, folder / "synthetic.pcapng", seed)
    target = folder / "synthetic.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(folder.glob("synthetic.*")):
            if path != target:
                packed.write(path, path.name)
                path.unlink()
    return target


def _of_field(field: str, work: Callable[[], _T]) -> _T:
    """The result of `work`, whose errors name the `field` of the page."""
    try:
        return work()
    except InputError as error:
        raise InputError(f"{field}: {error}") from error
