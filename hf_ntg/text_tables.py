"""Tables of text: drawn with lines on a terminal, aligned in columns elsewhere."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hf_ntg.printable import printable

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["TextTable"]

_NO_LIMIT = 1 << 20  # characters of a line that is not on a terminal


@dataclass(frozen=True)
class TextTable:
    """A table of text. Its first column is aligned left, the others right.

    Attributes:
        head: heading of each column.
        rows: the cells of each row.
        title: line above the table.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""

    def plain(self) -> str:
        """Return the table as lines whose columns are two spaces apart."""
        from rich.console import Console

        lines = io.StringIO()
        Console(file=lines, width=_NO_LIMIT, color_system=None).print(self._drawn(on_terminal=False))
        text = "\n".join(line.rstrip() for line in lines.getvalue().splitlines())
        return f"{printable(self.title)}\n{text}" if self.title else text

    def print(self) -> None:
        """Print the table on standard output: drawn to the width of a terminal, or :meth:`plain` anywhere else."""
        if not sys.stdout.isatty():
            print(self.plain())
            return
        from rich.console import Console

        Console().print(self._drawn(on_terminal=True))

    def _drawn(self, on_terminal: bool) -> Table:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        if on_terminal:
            table = Table(
                box=box.ROUNDED, title=Text(printable(self.title)) if self.title else None, title_justify="left"
            )
        else:
            table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for number, name in enumerate(self.head):
            table.add_column(Text(printable(name, keep="")), justify="right" if number else "left", overflow="fold")
        for row in self.rows:
            # Text, because square brackets in a str are markup.
            table.add_row(*(Text(printable(cell, keep="")) for cell in row))
        return table
