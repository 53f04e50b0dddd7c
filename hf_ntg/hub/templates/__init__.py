"""The texts of cards and of a metric's page. They are package data, so that an installed wheel can publish."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from hf_ntg.report.pages import format_score

__all__ = ["render"]


def render(name: str, **values: Any) -> str:
    """The template `name` with `values` in it; a value that is missing is an error."""
    texts = Environment(
        loader=PackageLoader("hf_ntg.hub"),
        autoescape=False,  # Markdown and Python, not HTML
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    texts.filters["score"] = format_score
    texts.filters["cell"] = _cell
    texts.filters["zip"] = zip
    texts.filters["literal"] = partial(json.dumps, ensure_ascii=False)
    return texts.get_template(name).render(values)


def _cell(text: object) -> str:
    """Text as a table's cell takes it."""
    return str(text).replace("|", "\\|").replace("\n", " ")
