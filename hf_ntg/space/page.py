"""A Gradio page around one or several generators."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from hf_ntg.errors import InputError
from hf_ntg.generation import FlowGenerator
from hf_ntg.models.scheduler_names import SCHEDULER_NAMES
from hf_ntg.progress import log
from hf_ntg.space.about import about_model
from hf_ntg.space.draw import Draws, Request
from hf_ntg.space.upload import FILE_TYPES, MOST_BYTES
from hf_ntg.space.visit import MOST_FLOWS, ROW_HEAD, CaptureSettings, RealFlows

if TYPE_CHECKING:
    import gradio

__all__ = ["build_page", "launch"]

FIRST_FLOWS = 200  # of the draw that a visitor finds
KEPT_SECONDS = 3_600  # how long the files of a visitor are kept
WAITING = 60  # visitors in the queue; more are asked to come back
_FIELD = 240  # least width of a field, in pixels: two do not fit side by side on a phone
_STYLE = """
.gradio-container { max-width: 68rem !important; margin: 0 auto !important; }
.gradio-container :is(.answer, .prose) { overflow-wrap: anywhere; }
.plot { margin: 0; overflow-x: auto; contain: inline-size; }
.plot img { width: 100%; max-width: none; height: auto; display: block; }
.dark .plot img { filter: invert(1) hue-rotate(180deg); }
.gradio-container button.label-wrap { text-align: left; }
.gradio-container table :is(td, th) {
  overflow-wrap: normal !important; word-break: normal !important; padding: .35rem .4rem !important;
}
.scores { overflow-x: auto; contain: inline-size; }
.scores table { font-size: .85rem; width: 100%; display: table; }
.scores table :is(td, th):not(:first-child) { text-align: right; white-space: nowrap; }
:focus-visible { outline: 3px solid #2f7fd0 !important; outline-offset: 2px; }
.wrap-inner input:focus-visible { outline: none !important; }
"""


def launch(
    models: str | Sequence[str],
    *,
    revision: str | None = None,
    host: str = "127.0.0.1",
    port: int | None = None,
    share: bool = False,
    open_browser: bool = True,
) -> None:
    """Load `models` (folders or Hub ids) and serve their page until it is interrupted.

    Args:
        models: one or several; the visitor chooses. revision: of a model on the Hub.
        host: address to serve at; ``0.0.0.0`` serves the whole network. share: also serve through a public address
            of Gradio. port: the first free one from 7860 when None.

    Raises:
        InputError: Gradio is not installed, or there is no such model.
    """
    gradio = _gradio()
    names = [models] if isinstance(models, str) else list(models)
    loaded = {
        _shown_name(name): (FlowGenerator.from_pretrained(name, revision=revision), RealFlows.next_to(name))
        for name in dict.fromkeys(names)
    }
    page = build_page(loaded)
    page.queue(max_size=WAITING)
    _, address, public = page.launch(
        server_name=host,
        server_port=port,
        share=share,
        inbrowser=open_browser,
        css=_STYLE,
        theme=gradio.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
        max_file_size=MOST_BYTES,
        footer_links=[],
        quiet=True,
        prevent_thread_lock=True,
    )
    log(f"serving at {address}{f' and {public}' if public else ''}; Ctrl-C ends it")
    page.block_thread()


def build_page(models: dict[str, tuple[FlowGenerator, RealFlows | None]]) -> gradio.Blocks:
    """The page of `models`: generators by name, each with the real flows that its own are shown next to, or None."""
    gradio = _gradio()
    draws, names = Draws(models), list(models)
    labels = {name: [label for label in models[name][0].labels if label is not None] for name in names}

    def make(
        model: str, chosen: list[str], num_flows: float, seed: float, rate: float, clients: str, servers: str,
        start: str, upload: str | None, *settings: Any,
    ) -> tuple[str, str, str, list[list], str]:  # fmt: skip
        options = tuple(zip(controls, settings, strict=True))
        capture = CaptureSettings(rate, clients or "", servers or "", start or "")
        try:
            asked = Request(model, tuple(chosen or ()), num_flows, seed, options, capture, upload)
            answer = draws.answer(asked)
        except InputError as error:  # the last answer stays on the page
            raise gradio.Error(str(error), duration=None) from error
        return answer.status, answer.packets, answer.times, answer.rows, answer.archive

    def choose(model: str) -> list[Any]:
        generator = models[model][0]
        shown = [gradio.update(visible=name in generator.sampler.options) for name in controls]
        return [gradio.update(choices=labels[model], value=[]), about_model(generator, model), *shown]

    title = f"Synthetic flows of {names[0]}" if len(names) == 1 else "Synthetic network flows"
    with gradio.Blocks(title=title, delete_cache=(KEPT_SECONDS, KEPT_SECONDS), analytics_enabled=False) as page:
        gradio.Markdown(
            "# Synthetic network flows\n\nChoose classes, generate flows, compare them with real ones, and take them "
            "along as a table or as a capture."
        )
        model = gradio.Dropdown(names, value=names[0], label="Model", visible=len(names) > 1)
        with gradio.Row():
            chosen = gradio.Dropdown(
                labels[names[0]],
                multiselect=True,
                label="Classes",
                info="None: all, as often as in the training flows",
                min_width=_FIELD,
            )
            count = gradio.Slider(1, MOST_FLOWS, value=FIRST_FLOWS, step=1, label="Flows", min_width=_FIELD)
        with gradio.Accordion("More settings: seed, sampler, capture, your own flows", open=False):
            with gradio.Row():
                seed = gradio.Number(0, precision=0, minimum=0, label="Seed", info="Same seed, same flows")
                rate = gradio.Number(10, minimum=0.001, label="Flows a second", info="In the capture")
            controls = _controls(gradio, models[names[0]][0])
            with gradio.Row():
                capture = CaptureSettings()
                network: dict[str, Any] = {"info": "Private, IPv4 or IPv6", "min_width": _FIELD}
                clients = gradio.Textbox(capture.clients, label="Client network", **network)
                servers = gradio.Textbox(capture.servers, label="Server network", **network)
                start = gradio.Textbox(
                    capture.start, label="Start of the capture", info="Date and time, UTC", min_width=_FIELD
                )
            gradio.Markdown(
                f"Compare with your own flows: a capture or table of at most {MOST_BYTES >> 20} MB. It is deleted "
                f"after {KEPT_SECONDS // 60} minutes at most."
            )
            upload = gradio.File(label="Your flows", file_types=FILE_TYPES, type="filepath", height=140)
        button = gradio.Button("Generate", variant="primary")
        status = gradio.HTML('<p class="answer" role="status">The first flows are being drawn.</p>', min_height=72)
        gradio.Markdown("## Packets by position")
        packets = gradio.HTML()
        gradio.Markdown("## Times between packets")
        times = gradio.HTML()
        gradio.Markdown("## Download\n\nParquet, CSV, JSON lines, and a pcapng with its labels, in one ZIP file.")
        archive = gradio.DownloadButton("Download the flows (ZIP)")
        with gradio.Accordion("The first flows as a table", open=False):
            rows = gradio.Dataframe(
                headers=list(ROW_HEAD), label="+ from the initiator, - towards it, bytes", wrap=True
            )
        with gradio.Accordion("About the model: scores, training, limits", open=True):
            about = gradio.Markdown(about_model(models[names[0]][0], names[0]), elem_classes="scores")
        inputs = [model, chosen, count, seed, rate, clients, servers, start, upload, *controls.values()]
        outputs = [status, packets, times, rows, archive]
        alone: Any = {"concurrency_limit": 1, "concurrency_id": "draw", "show_progress_on": [status]}
        button.click(make, inputs, outputs, api_name="generate", **alone)
        page.load(make, inputs, outputs, api_name=False, **alone)
        with suppress(gradio.Error):  # what every visitor sees first is made once; an error is shown to the visitor
            make(*(field.value for field in inputs))
        model.change(choose, [model], [chosen, about, *controls.values()], api_name=False)
    return page


def _shown_name(model: str) -> str:
    """The id of a model on the Hub, or the last two names of a folder: visitors need not see the others."""
    return "/".join(Path(model).resolve().parts[-2:]) if Path(model).is_dir() else model


def _controls(gradio: ModuleType, first: FlowGenerator) -> dict[str, Any]:
    """Inputs for the options of samplers, by the name of the option; those that `first` has not are hidden."""
    known = first.sampler.options
    with gradio.Row():
        return {
            "temperature": gradio.Slider(
                0.5, 1.5, value=1.0, step=0.05, label="Temperature", info="Below 1: likelier flows",
                visible="temperature" in known,
            ),
            "num_inference_steps": gradio.Slider(
                1, 50, value=5, step=1, label="Denoising steps", visible="num_inference_steps" in known
            ),
            "scheduler": gradio.Dropdown(
                [("the model's own", ""), *SCHEDULER_NAMES], value="", label="Scheduler", visible="scheduler" in known
            ),
        }  # fmt: skip


def _gradio() -> ModuleType:
    try:
        import gradio
    except ModuleNotFoundError as error:
        raise InputError("the page needs Gradio, which is not installed: pip install 'hf-ntg[demo]'") from error
    return gradio
