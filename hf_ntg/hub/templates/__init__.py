"""Templates of cards and of a metric's page; they are package data, so that an installed wheel can publish."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from hf_ntg.report.pages import escape_markdown, format_score

__all__ = ["render"]


def render(name: str, **values: Any) -> str:
    """Fill the template `name` with `values`. A value that the template needs and does not get is an error."""
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
    texts.filters["markdown"] = escape_markdown
    texts.filters["zip"] = zip
    texts.filters["literal"] = partial(json.dumps, ensure_ascii=False)
    return texts.get_template(name).render(values)


def _cell(text: object) -> str:
    """`text` for a cell of a Markdown table."""
    return str(text).replace("|", "\\|").replace("\n", " ")
