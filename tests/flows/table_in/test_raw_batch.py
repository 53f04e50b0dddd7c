from collections import Counter

import numpy as np
import pytest

from hf_ntg.flows.table_in.ragged import Ragged
from hf_ntg.flows.table_in.raw_batch import ADDRESSES, NUMBERS, TEXTS, RawBatch, text_of, whole_number_of


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("web", "web"),
        (" web ", " web "),
        (b"caf\xc3\xa9", "café"),
        (b"\xff", "\\xff"),
        (5.0, "5"),
        (5.5, "5.5"),
        ("", None),
        (None, None),
        (float("nan"), None),
    ],
)
def test_texts(cell, text):
    noticed = Counter()
    assert text_of(cell, "label", noticed) == text
    assert not noticed


def test_texts_that_cannot_be_kept_are_counted():
    noticed = Counter()
    assert text_of("x" * 2_000_000, "label", noticed) is None
    assert text_of("\ud800", "label", noticed) is None
    assert sum(noticed.values()) == len(noticed) == 2


@pytest.mark.parametrize(
    ("cell", "column", "number"),
    [
        ("443", "source_port", 443),
        (6.0, "protocol", 6),
        ("UDP ", "protocol", 17),
        ("nan", "protocol", None),
        ("", "protocol", None),
    ],
)
def test_whole_numbers(cell, column, number):
    noticed = Counter()
    assert whole_number_of(cell, column, noticed) == number
    assert not noticed


@pytest.mark.parametrize("cell", [70_000, -1, 1.5, "many", [1], 1e400])
def test_numbers_that_are_none_are_counted(cell):
    noticed = Counter()
    assert whole_number_of(cell, "source_port", noticed) is None
    assert sum(noticed.values()) == 1


def test_rows_come_back_from_an_arrow_batch():
    lists = {"payload_length": Ragged.of_lists([[1, 2], None, ["x"]]), "direction": Ragged.of_lists([[1, -1], [1], []])}
    facts = {name: ["a", None, "b"] for name in TEXTS}
    facts |= {name: [1, None, 2] for name in NUMBERS} | {name: [b"\1", b"", b"\2"] for name in ADDRESSES}
    back = RawBatch.from_record_batch(RawBatch(lists, facts).to_record_batch())
    assert len(back) == 3
    assert back.facts == facts
    for name, one in lists.items():
        for part in ("counts", "values", "unreadable"):
            np.testing.assert_array_equal(getattr(back.lists[name], part), getattr(one, part))
