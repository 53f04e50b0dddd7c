"""Page templates and text formatting that all reports and cards share."""

from __future__ import annotations

import re
from html import escape

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from hf_ntg.printable import printable

__all__ = ["describe_svg", "escape_markdown", "format_score", "page_templates"]

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~!$])")


def page_templates(package: str = "hf_ntg.report") -> Environment:
    """The page templates of `package`, which may include those of ``hf_ntg.report``.

    HTML is escaped. A missing template value is an error.
    """
    packages = dict.fromkeys([package, "hf_ntg.report"])
    templates = Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in packages]),
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        finalize=_printable_text,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["score"] = format_score
    templates.filters["markdown"] = escape_markdown
    templates.filters["described"] = describe_svg
    return templates


def _printable_text(value: object) -> object:
    """A value of a page; control characters of plain text are shown as escapes."""
    return printable(value, keep="\n\r\t") if type(value) is str else value


def describe_svg(svg: str, text: str) -> str:
    """An SVG element with `text` as its description for screen readers."""
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(text)}"', 1)


def format_score(value: float | None) -> str:
    """Format a score: three decimals below 10, one decimal above, and a dash where nothing was measured."""
    if value is None:
        return "–"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"


def escape_markdown(text: object) -> str:
    """Escape `text` so that Markdown shows it literally, on one line. For class names and other user input."""
    return _MARKDOWN.sub(r"\\\1", printable(" ".join(str(text).split())))
