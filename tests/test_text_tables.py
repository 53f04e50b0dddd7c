import re
import sys

import pytest

from hf_ntg.text_tables import TextTable

TABLE = TextTable(("class", "flows"), [("web [red]", "12"), ("日本", "3456")], "Classes")


def test_plain_columns_are_aligned():
    assert TABLE.plain().splitlines() == [
        "Classes",
        "class      flows",
        "web [red]     12",
        "日本        3456",
    ]


def test_long_rows_stay_on_one_line_when_piped(capsys):
    TextTable(("", "b"), [("x" * 5_000, "y" * 5_000)]).print()
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["b"]
    assert row == f"{'x' * 5_000}  {'y' * 5_000}"


@pytest.mark.parametrize("width", [30, 80])
def test_a_terminal_gets_lines_within_its_width(monkeypatch, capsys, width):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    wide = TextTable(("", "a long heading"), [("name " * 10, "1"), ("[b]", "2")], "A title")
    wide.print()
    lines = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out).splitlines()
    assert "A title" in lines[0]
    assert all(len(line.rstrip()) <= width for line in lines)
    assert sum("[b]" in line for line in lines) == 1
    assert any("─" in line for line in lines)
