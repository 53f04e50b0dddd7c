"""Texts in CSV files that people open in a spreadsheet, where a cell such as ``=cmd|…`` would run as a formula."""

from __future__ import annotations

__all__ = ["guarded", "unguarded"]

_GUARD = "'"
_STARTS = ("=", "+", "-", "@", "\t", "\r", _GUARD)


def guarded(text: str | None) -> str | None:
    """`text` with an apostrophe before a start that a spreadsheet takes for a formula; :func:`unguarded` undoes it.

    Source: OWASP, CSV injection, https://owasp.org/www-community/attacks/CSV_Injection.
    """
    return f"{_GUARD}{text}" if text is not None and text.startswith(_STARTS) else text


def unguarded(text: str) -> str:
    """The text that :func:`guarded` was given."""
    return text[1:] if text.startswith(_GUARD) else text
