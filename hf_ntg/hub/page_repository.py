"""Publishing the page of a model as a Space on the Hub."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import yaml

import hf_ntg
from hf_ntg.errors import InputError
from hf_ntg.files import new_folder, write_text
from hf_ntg.hub.metric_repository import GRADIO_VERSION
from hf_ntg.hub.scan import refuse_private
from hf_ntg.hub.templates import render

__all__ = ["PAGE", "lay_out_page"]

PAGE = "page"
"""What is published under this name is the page."""
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def lay_out_page(models: Sequence[str], folder: str | Path, repo_id: str, *, license: str = "apache-2.0") -> Path:
    """Write the Space of the page of `models` into the new `folder`; returns the folder.

    It holds ``app.py``, which calls :func:`hf_ntg.space.launch`, ``requirements.txt``, and ``README.md`` with the
    Space's settings. The models are fetched from the Hub when the Space starts.

    Args:
        models: ids of published models, among which visitors choose.

    Raises:
        InputError: no model is given, or one is not an id on the Hub.
    """
    if not models:
        raise InputError("page: name the models that it serves by --model ORGANISATION/NAME")
    for model in models:
        if not _HUB_ID.fullmatch(model) or Path(model).exists():
            raise InputError(f"--model {model}: a Space fetches models from the Hub; publish it, and give its id")
    settings = {
        "title": repo_id.rpartition("/")[2],
        "emoji": "📶",
        "colorFrom": "blue",
        "colorTo": "yellow",
        "sdk": "gradio",
        "sdk_version": GRADIO_VERSION,
        "app_file": "app.py",
        "pinned": False,
        "license": license,
        "models": list(models),
        "short_description": "Generate labelled network flows",
        "tags": ["hf_ntg", "network-traffic", "synthetic-data"],
    }
    front = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
    values = {"models": list(models), "version": hf_ntg.__version__}
    with new_folder(folder) as scratch:
        write_text(scratch / "README.md", f"---\n{front}---\n\n{render('page_card.md.j2', **values)}")
        write_text(scratch / "app.py", render("page_app.py.j2", **values))
        write_text(scratch / "requirements.txt", f"hf-ntg[demo]=={hf_ntg.__version__}\n")
        refuse_private(scratch, "space")
    return Path(folder)
