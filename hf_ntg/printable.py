"""Text of unknown origin for a terminal: characters that would steer it are shown as escapes."""

from __future__ import annotations

__all__ = ["printable", "printable_json"]


def printable(text: str, keep: str = "\n") -> str:
    """`text` with escapes such as ``\\x1b`` for control characters, marks of writing direction and the like.

    Names of classes and files may hold such characters. A terminal would obey them: change its colours, hide or
    overwrite what stands there.

    Args:
        keep: characters that stay as they are.
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() or letter in keep else _escaped(letter) for letter in text)


def printable_json(text: str) -> str:
    """JSON `text` with the same characters as JSON escapes, so that it says the same."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() or letter == "\n" else _json_escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":  # a byte of a file's name that is not UTF-8 (PEP 383)
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode()


def _json_escaped(letter: str) -> str:
    units = letter.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place : place + 2].hex()}" for place in range(0, len(units), 2))
