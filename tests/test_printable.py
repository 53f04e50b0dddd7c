import json
import unicodedata

import pytest

from hf_ntg.printable import printable, printable_json
from hf_ntg.text_tables import TextTable

TEXT = "a\x1b[31m\x9b\u202e\u2028\ud800\x00é\n\U0001f600\ue000"


def test_characters_that_steer_a_terminal_are_shown_as_escapes():
    shown = printable(TEXT)
    assert shown == "a\\x1b[31m\\x9b\\u202e\\u2028\\ud800\\x00é\n\U0001f600\\ue000"
    assert printable("plain") == "plain"
    assert printable("caf\udce9.pcap") == "caf\\xe9.pcap"  # a byte that is not UTF-8
    assert all(unicodedata.category(letter)[0] != "C" for letter in shown.replace("\n", ""))


@pytest.mark.parametrize("letter", ["\x1b", "\x9b", "\u202e", "\ud800", "\U000e0001", "é"])
def test_json_with_escapes_says_the_same(letter):
    text = json.dumps({"label": letter}, ensure_ascii=False)
    assert json.loads(printable_json(text)) == {"label": letter}
    assert letter == "é" or letter not in printable_json(text)


def test_cells_of_tables_are_printable_and_on_one_line():
    assert TextTable(["class"], [["a\x1b[2J\nb"]]).plain().splitlines()[1] == "a\\x1b[2J\\nb"
