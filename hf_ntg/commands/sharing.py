"""Commands that share results: `ntg publish`, `ntg demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from hf_ntg.commands.app import app, number, show, show_table
from hf_ntg.constants import BUNDLED
from hf_ntg.errors import InputError
from hf_ntg.launch import require_free_port
from hf_ntg.ranges import PORTS


@app.command()
def publish(
    source: Annotated[str, typer.Argument(help="Model folder, flows of 'ntg generate', a metric, or 'page'.")],
    repo_id: Annotated[str, typer.Argument(help="Repository: ORGANISATION/NAME.")],
    report: Annotated[Path | None, typer.Option(help="report.json of 'ntg evaluate': scores for the card.")] = None,
    license: Annotated[str, typer.Option(help="Licence of what is published, as the Hub names it.")] = "apache-2.0",
    model: Annotated[
        list[str] | None, typer.Option(help="A page: the published model that it serves; repeatable.")
    ] = None,
    trained_on: Annotated[str | None, typer.Option(help="Models: what data they learned from, in words.")] = None,
    allow_label: Annotated[
        list[str] | None, typer.Option(help="A class that may look like an address without a warning; repeatable.")
    ] = None,
    private: Annotated[bool | None, typer.Option("--private/--public", help="Visibility of a new repository.")] = None,
    revision: Annotated[str | None, typer.Option(help="Branch to commit to; created if missing.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write the folder and list its files; send nothing.")
    ] = False,
    folder: Annotated[
        Path | None, typer.Option(help="--dry-run: the folder; by default the repository's name.")
    ] = None,
) -> None:
    """Publish a model, synthetic flows, a metric or a page on the Hub, with a card made from its results.

    Example: ntg publish quickstart/model my-org/ntg-gpt2-loopback --report quickstart/report.json --dry-run

    Log in with 'hf auth login' before. If an upload breaks off, run the command again: files that arrived are not sent
    twice.
    """
    from hf_ntg.hub.publish import lay_out, send
    from hf_ntg.hub.upload import Destination, list_files
    from hf_ntg.text_tables import TextTable

    to = Destination(repo_id, private=private, revision=revision)
    options: dict[str, Any] = {"license": license, "report": report, "trained_on": trained_on}
    options |= {"allowed_labels": tuple(allow_label or ()), "models": tuple(model or ())}
    if folder is not None and not dry_run:
        raise InputError("--folder goes with --dry-run")
    if dry_run:
        target = folder or Path(repo_id.rpartition("/")[2])
        kind = lay_out(source, target, to, **options)
        files = list_files(target)
        table = TextTable(("file", "bytes"), [(name, f"{size:,}") for name, size in files.items()])
        show_table(table, [{"file": name, "bytes": size} for name, size in files.items()])
        line = f"{target}: the files of the {kind} repository {repo_id}; nothing was sent"
        show(line, path=str(target), kind=kind, repository=repo_id)
        return
    published = send(source, to, **options)
    line = f"{published.url}: {len(published.files)} files, {sum(published.files.values()):,} bytes, {published.commit}"
    show(line, url=published.url, files=published.files, commit=published.commit)


@app.command()
def demo(
    models: Annotated[
        list[str] | None,
        typer.Argument(help="Model folders or Hub ids, among which visitors choose. Default: the bundled model."),
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of a model on the Hub.")] = None,
    host: Annotated[str, typer.Option(help="Address to serve at; 0.0.0.0 serves the whole network.")] = "127.0.0.1",
    port: Annotated[int | None, number(PORTS, "Port of the page; the first free one from 7860.")] = None,
    share: Annotated[bool, typer.Option("--share", help="Also serve through a public address of Gradio.")] = False,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = True,
) -> None:
    """Serve a page that generates flows, shows them next to real ones, and exports them as tables and a capture.

    Real flows are shown if ../flows/ of the model's folder has them, where a recipe writes them.

    Example: ntg demo quickstart/model
    """
    if port is not None:
        require_free_port(port)
    from hf_ntg.space import launch

    launch(models or [BUNDLED], revision=revision, host=host, port=port, share=share, open_browser=open_browser)
