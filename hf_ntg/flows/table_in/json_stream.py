"""Reads large JSON objects and arrays one value at a time; memory is that of the largest value.

MIRAGE files hold ``NaN``, which is not JSON: Python's own decoder takes it, streaming libraries such as ijson do not.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import IO

from hf_ntg.flows.byte_stream import STREAM_ERRORS, BrokenFileError

__all__ = ["json_items", "json_members"]

_SPACE = re.compile(r"[ \t\n\r]*")
_CHUNK = 1 << 20
_LARGEST_VALUE = 256 << 20  # characters


def json_members(file: IO[bytes], place: str) -> Iterator[tuple[str, object]]:
    """Keys and values of the JSON object in `file`; `place` names it in messages.

    Raises:
        BrokenFileError: it is damaged, cut off or no object; what precedes has been given.
    """
    text = _Text(file, place)
    if text.mark() != "{":
        raise BrokenFileError(f"{place}: not a MIRAGE file, which is one JSON object")
    text.at += 1
    while text.mark() != "}":
        key = text.value()
        if not isinstance(key, str) or text.mark() != ":":
            raise text.broken("a key and a colon are missing")
        text.at += 1
        yield key, text.value()
        if text.ends_with("}"):
            return


def json_items(file: IO[bytes], place: str, encoding: str = "utf-8-sig") -> Iterator[object]:
    """The values of the JSON array in `file`; other arguments and errors as for :func:`json_members`."""
    text = _Text(file, place, encoding)
    if text.mark() != "[":
        raise BrokenFileError(f"{place}: not a JSON array")
    text.at += 1
    while text.mark() != "]":
        yield text.value()
        if text.ends_with("]"):
            return


class _Text:
    """JSON text that is read as far as it is needed."""

    def __init__(self, file: IO[bytes], place: str, encoding: str = "utf-8-sig") -> None:
        self.file, self.place = file, place
        self.text, self.at = "", 0
        self.passed = 0  # characters before `text`
        self.ended = False
        self.decode = codecs.getincrementaldecoder(encoding)().decode
        self.read_value = json.JSONDecoder().raw_decode

    def broken(self, problem: str) -> BrokenFileError:
        return BrokenFileError(f"{self.place}: character {self.passed + self.at}: {problem}")

    def mark(self) -> str:
        """The next character that is not white space; `at` moves there."""
        while True:
            match = _SPACE.match(self.text, self.at)
            self.at = match.end() if match else self.at
            if self.at < len(self.text):
                return self.text[self.at]
            self._more()

    def ends_with(self, bracket: str) -> bool:
        """Is the next mark `bracket`? Otherwise it is a comma; `at` moves behind it."""
        mark = self.mark()
        if mark not in (bracket, ","):
            raise self.broken("a comma or the end is missing")
        self.at += 1
        return mark == bracket

    def value(self) -> object:
        """The JSON value that begins at the next mark; `at` moves behind it."""
        self.mark()
        while True:
            try:
                value, end = self.read_value(self.text, self.at)
            except json.JSONDecodeError as error:
                if self.ended or len(self.text) > _LARGEST_VALUE:
                    raise self.broken(f"not JSON ({error.msg})") from error
            except (RecursionError, ValueError) as error:
                raise self.broken(f"no sensible JSON ({error})") from error
            else:
                if end < len(self.text) or self.ended:
                    self.at = end
                    return value
            self._more()

    def _more(self) -> None:
        """Read as much again as is there, so that a long value is not parsed too often."""
        try:
            fresh = self.file.read(max(_CHUNK, len(self.text) - self.at))
        except STREAM_ERRORS as error:
            raise self.broken(f"damaged or cut off ({error})") from error
        if self.ended:
            raise self.broken("the file breaks off")
        self.ended = not fresh
        try:
            decoded = self.decode(fresh, final=self.ended)
        except UnicodeDecodeError as error:
            raise self.broken(f"not {error.encoding.upper()} text ({error.reason})") from error
        self.passed += self.at
        self.text, self.at = self.text[self.at :] + decoded, 0
