"""A Gradio page around a generator."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from hf_ntg.errors import InputError
from hf_ntg.generation import FlowGenerator
from hf_ntg.report import plot_flows
from hf_ntg.report.pages import escape_markdown, format_score
from hf_ntg.space.visit import MOST_FLOWS, ROW_HEAD, RealFlows, as_rows, copies_in_words, make_flows, pack

if TYPE_CHECKING:
    import gradio
    from matplotlib.figure import Figure

__all__ = ["build_page", "launch"]

QUICKSTART_MODEL = "quickstart/model"
KEPT_SECONDS = 3_600  # how long the files of a visitor are kept
WAITING = 60  # visitors in the queue; more are asked to come back
_SHOWN_SCORES = ("flow_jsd", "timing_distance", "tstr", "once_seen_copies", "c2st")
_STYLE = ".gradio-container { max-width: 68rem !important; } img { max-width: 100%; height: auto; }"


def launch(
    model: str,
    *,
    revision: str | None = None,
    host: str = "127.0.0.1",
    port: int | None = None,
    share: bool = False,
    open_browser: bool = True,
) -> None:
    """Load `model` (folder or Hub id) and serve its page until it is interrupted.

    Args:
        host: address to serve at; ``0.0.0.0`` serves the whole network. share: also serve through a public address
            of Gradio. port: the first free one from 7860 when None.

    Raises:
        InputError: Gradio is not installed, or there is no such model.
    """
    _gradio()
    if model == QUICKSTART_MODEL and not Path(model).is_dir():  # which looks like the id of a model on the Hub
        raise InputError(f"{model}: no such folder; make it by 'ntg quickstart', or name a model")
    generator = FlowGenerator.from_pretrained(model, revision=revision)
    page = build_page(generator, model, RealFlows.next_to(model))
    page.queue(max_size=WAITING)
    page.launch(server_name=host, server_port=port, share=share, inbrowser=open_browser, css=_STYLE)


def build_page(generator: FlowGenerator, name: str, real: RealFlows | None = None) -> gradio.Blocks:
    """The page of `generator`, under the title `name`; `real` flows are shown next to its own."""
    gradio = _gradio()
    labels = [label for label in generator.labels if label is not None]
    held: list[tempfile.TemporaryDirectory] = []

    def make(
        chosen: list[str], num_flows: float, seed: float, rate: float, *settings: Any
    ) -> tuple[Figure, Figure | None, str, list[list], str]:
        options = dict(zip(controls, settings, strict=True))
        try:
            flows = make_flows(generator, chosen or [], num_flows, seed, options)
            shown = None if real is None else real.test
            classes = sorted(set(flows["label"]))[:12]
            packets = plot_flows(shown, flows, classes=classes)
            times = (
                plot_flows(shown, flows, "times", classes=classes) if "inter_arrival_time" in flows.features else None
            )
            # A folder for each request, so that visitors never see each other's files. Gradio copies what it hands
            # out once this function has returned, and requests follow one another: the one before is done.
            held.append(tempfile.TemporaryDirectory(prefix="ntg-demo-"))
            archive = pack(flows, Path(held[-1].name), int(seed), rate)
            while len(held) > 2:
                held.pop(0).cleanup()
        except InputError as error:
            raise gradio.Error(str(error)) from error
        return packets, times, copies_in_words(flows, real), as_rows(flows), str(archive)

    with gradio.Blocks(title=f"Synthetic flows of {name}", delete_cache=(KEPT_SECONDS, KEPT_SECONDS)) as page:
        gradio.Markdown(f"# Synthetic network flows\n\n{escape_markdown(name)}: {len(labels)} classes.")
        with gradio.Row():
            chosen = gradio.Dropdown(labels, multiselect=True, label="Classes (none: the mix of the training flows)")
            count = gradio.Slider(1, MOST_FLOWS, value=200, step=1, label="Flows")
        with gradio.Accordion("More settings", open=False):
            seed = gradio.Number(0, precision=0, minimum=0, label="Seed")
            rate = gradio.Number(10, minimum=0.001, label="Flows that begin in a second of the capture")
            controls = _controls(gradio, generator)
        button = gradio.Button("Generate", variant="primary")
        copies = gradio.Markdown()
        packets = gradio.Plot(label="Packets by position: real flows blue, synthetic flows orange")
        times = gradio.Plot(label="Inter-arrival times: share of packets up to each time")
        archive = gradio.File(label="Download: Parquet, CSV, JSON lines, pcapng and its labels in one ZIP file")
        rows = gradio.Dataframe(headers=list(ROW_HEAD), label="The first 200 flows", wrap=True)
        gradio.Markdown(_about(generator))
        inputs, outputs = [chosen, count, seed, rate, *controls.values()], [packets, times, copies, rows, archive]
        button.click(make, inputs, outputs, api_name="generate", concurrency_limit=1)
        page.load(make, inputs, outputs, api_name=False, concurrency_limit=1)
    return page


def _controls(gradio: ModuleType, generator: FlowGenerator) -> dict[str, Any]:
    """Inputs for the options of the generator's sampler, by the name of the option."""
    from hf_ntg.models.scheduler_names import SCHEDULER_NAMES

    every = {
        "temperature": lambda: gradio.Slider(
            0.5, 1.5, value=1.0, step=0.05, label="Temperature (below 1: likelier flows)"
        ),
        "num_inference_steps": lambda: gradio.Slider(1, 50, value=5, step=1, label="Denoising steps"),
        "scheduler": lambda: gradio.Dropdown(
            [None, *SCHEDULER_NAMES], value=None, label="Scheduler (none: the model's)"
        ),
    }
    return {name: make() for name, make in every.items() if name in generator.sampler.options}


def _about(generator: FlowGenerator) -> str:
    """Scores, training and limits of the model, as Markdown."""
    lines = ["## About this model", ""]
    if generator.source is not None:
        lines += _scores(generator.source / "evaluation.json")
        lines += _training(generator.source / "training_run.json")
    lines += [
        "- Some synthetic flows repeat a training flow. There is no differential privacy.",
        "- The flows are as representative as the data that the model learned from.",
    ]
    return "\n".join(lines)


def _scores(path: Path) -> list[str]:
    if not path.is_file():
        return []
    found = json.loads(path.read_text(encoding="utf-8"))
    columns = found["columns"]
    lines = [f"| | {' | '.join(columns)} |", f"|---|{'--:|' * len(columns)}"]
    for name in _SHOWN_SCORES:
        if name in found["metrics"]:
            metric = found["metrics"][name]
            values = " | ".join(format_score(metric["values"].get(column)) for column in columns)
            lines.append(f"| {metric['title']} ({metric['unit']}) | {values} |")
    return [*lines, "", "`real` is what real held-out flows reach.", ""]


def _training(path: Path) -> list[str]:
    if not path.is_file():
        return []
    run = json.loads(path.read_text(encoding="utf-8"))
    return [f"- Trained on {run['flows']:,} flows of {run['classes']} classes, {run['epochs']} epochs."]


def _gradio() -> ModuleType:
    try:
        import gradio
    except ModuleNotFoundError as error:
        raise InputError("the page needs Gradio, which is not installed: pip install 'hf-ntg[demo]'") from error
    return gradio
