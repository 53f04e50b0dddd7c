"""A Gradio page around a generator."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from datasets import Dataset

from hf_ntg.errors import InputError
from hf_ntg.flows import save_flows, write_pcap
from hf_ntg.generation import FlowGenerator
from hf_ntg.space.picture import draw_flows

if TYPE_CHECKING:
    import gradio
    from matplotlib.figure import Figure

__all__ = ["build_page", "launch"]

QUICKSTART_MODEL = "quickstart/model"
ALL_CLASSES = "all, as in training"
MOST_FLOWS = 10_000
SHOWN_ROWS = 200
_HEAD = ("flow_id", "label", "protocol", "destination_port", "packet_count")


def launch(model: str, *, revision: str | None = None, port: int | None = None, open_browser: bool = True) -> None:
    """Load `model` (folder or Hub id) and serve its page on this machine until it is interrupted.

    Raises:
        InputError: Gradio is not installed, or there is no such model.
    """
    _gradio()
    if model == QUICKSTART_MODEL and not Path(model).is_dir():  # which looks like the id of a model on the Hub
        raise InputError(f"{model}: no such folder; make it by 'ntg quickstart', or name a model")
    page = build_page(FlowGenerator.from_pretrained(model, revision=revision), model)
    page.launch(server_port=port, inbrowser=open_browser)


def build_page(generator: FlowGenerator, name: str) -> gradio.Blocks:
    """The page of `generator`, which it calls `name`."""
    gradio = _gradio()
    labels = [label for label in generator.labels if label is not None]
    folder = Path(tempfile.mkdtemp(prefix="ntg-demo-"))  # Gradio hands out files; it keeps its own copies of them

    def make(label: str, num_flows: float, seed: float) -> tuple[Figure, list[list], str, str]:
        try:
            flows = draw(generator, label, int(num_flows), int(seed))
        except InputError as error:
            raise gradio.Error(str(error)) from error
        table = save_flows(flows, folder / "synthetic.parquet")
        capture = folder / "synthetic.pcapng"
        write_pcap(flows, capture, int(seed))
        return draw_flows(flows), as_rows(flows), str(table), str(capture)

    with gradio.Blocks(title=f"Synthetic flows of {name}") as page:
        gradio.Markdown(
            f"# Synthetic network flows\n`{name}`: {len(labels)} classes. None of these flows was recorded."
        )
        with gradio.Row():
            label = gradio.Dropdown([ALL_CLASSES, *labels], value=ALL_CLASSES, label="Class")
            count = gradio.Slider(1, MOST_FLOWS, value=200, step=1, label="Flows")
            seed = gradio.Number(0, precision=0, label="Seed")
        button = gradio.Button("Draw", variant="primary")
        picture = gradio.Plot(label="Packets: up from the initiator, down towards it")
        with gradio.Row():
            files = [gradio.File(label="Table (Parquet)"), gradio.File(label="Capture (pcapng)")]
        rows = gradio.Dataframe(headers=[*_HEAD, "packets"], label=f"The first {SHOWN_ROWS} flows", wrap=True)
        button.click(make, [label, count, seed], [picture, rows, *files], api_name="draw")
    return page


def draw(generator: FlowGenerator, label: str, num_flows: int, seed: int) -> Dataset:
    """What the button asks for.

    Raises:
        InputError: a number is out of its range.
    """
    if not 1 <= num_flows <= MOST_FLOWS:
        raise InputError(f"{num_flows} flows: draw 1 to {MOST_FLOWS:,} here, and more by 'ntg generate'")
    if seed < 0:
        raise InputError(f"seed {seed}: give 0 or more")
    return generator.generate(num_flows, None if label == ALL_CLASSES else label, seed)


def as_rows(flows: Dataset) -> list[list]:
    """The first flows as rows for people: header facts, and packets as signed lengths."""
    rows = []
    for flow in flows.select(range(min(SHOWN_ROWS, len(flows)))):
        packets = zip(flow["payload_length"], flow["direction"], strict=True)
        told = " ".join(f"{'+' if direction > 0 else '-'}{length}" for length, direction in packets)
        rows.append([*(flow.get(name) for name in _HEAD), told])
    return rows


def _gradio():
    try:
        import gradio
    except ModuleNotFoundError as error:
        raise InputError("the page needs Gradio, which is not installed: pip install 'hf-ntg[demo]'") from error
    return gradio
